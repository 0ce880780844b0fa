"""EmoryNLP as its authors release it: three JSON files of emorynlp/emotion-detection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.data.catalogue import register_dataset
from harness.data.dataset import DatasetCard
from harness.data.emorynlp import EMORYNLP_LABELS
from harness.data.files import UniqueIds, Value, parse_json, read_text
from harness.schema import Dialogue, Utterance

_FILES = {
    "train": "emotion-detection-trn.json",
    "dev": "emotion-detection-dev.json",
    "test": "emotion-detection-tst.json",
}

CARD = DatasetCard(
    title="EmoryNLP, official release",
    label_set=EMORYNLP_LABELS,
    language="en",
    license="Apache-2.0",
    source="emorynlp/emotion-detection (Zahiri and Choi, 2018)",
    folder="emorynlp-json",
    files=tuple(_FILES.values()),
    redistributable=True,
    obtain="type: erc-harness data fetch emorynlp-official --data-dir DIR",
    anomalies=(
        "Some utterances have several speakers.",
        "Like MELD it is a transcript of Friends: training on one leaks test utterances of the other.",
    ),
    table_notes=(
        "This is the official release of 713 / 99 / 85 scenes; scores do not compare with the subset of 659 / 89 / 79 "
        "scenes (dataset 'emorynlp'), which has the same name in the literature.",
    ),
)


@register_dataset("emorynlp-official", card=CARD)
def read_emorynlp_official(folder: Path) -> Mapping[str, Sequence[Dialogue]]:
    """Reads the official release: a dialogue is a scene; ids are those of the release, such as "s01_e02_c01_u002".

    Args:
        folder: holds the three files.

    Returns:
        Dialogues by split, in the order of the files.

    Raises:
        DataError: a file does not follow the release.
    """
    return {split: list(_dialogues(folder / file)) for split, file in _FILES.items()}


def _dialogues(path: Path) -> Iterator[Dialogue]:
    season = parse_json(read_text(path), path).fields(("season_id", "episodes"))
    scene_ids, utterance_ids = UniqueIds("scene"), UniqueIds("utterance")
    for episode in (value.fields(("episode_id", "scenes")) for value in season["episodes"].items()):
        attributes = (("episode", episode["episode_id"].text()),)
        for scene in (value.fields(("scene_id", "utterances")) for value in episode["scenes"].items()):
            scene_id = scene_ids.claim(scene["scene_id"].text(), scene["scene_id"])
            utterances = tuple(_utterance(value, utterance_ids) for value in scene["utterances"].items())
            yield Dialogue(scene_id, utterances, attributes)


def _utterance(value: Value, ids: UniqueIds) -> Utterance:
    fields = value.fields(("utterance_id", "speakers", "transcript", "emotion"), optional=("tokens",))
    return Utterance(
        ids.claim(fields["utterance_id"].text(), fields["utterance_id"]),
        tuple(name.text() for name in fields["speakers"].items()),
        fields["transcript"].text(),
        fields["emotion"].choice(EMORYNLP_LABELS.labels),
    )
