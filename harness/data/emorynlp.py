"""EmoryNLP as declare-lab/MELD copies it: the utterances with subtitles, in three CSV files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.data.catalogue import register_dataset
from harness.data.dataset import DatasetCard
from harness.data.split import SPLIT_NAMES
from harness.data.tables import Row, Turn, group_turns, read_table
from harness.schema import Dialogue, LabelSet, Utterance

_COLUMNS = (
    "Utterance",
    "Speaker",
    "Emotion",
    "Scene_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "Start_Time",
    "End_Time",
)

EMORYNLP_LABELS = LabelSet(("Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared"), neutral="Neutral")
"""Of both releases, in the order of COSMIC's feature files."""

_NAME = r"""(?:'[^'\\]+'|"[^"\\]+")"""
_NAMES = re.compile(rf"\[{_NAME}(?:, {_NAME})*\]")

CARD = DatasetCard(
    title="EmoryNLP, subset with subtitles",
    label_set=EMORYNLP_LABELS,
    language="en",
    license="Apache-2.0 (corpus), GPL-3.0 (repository of this copy)",
    source="declare-lab/MELD, data/emorynlp (Zahiri and Choi, 2018)",
    folder="emorynlp",
    files=tuple(f"emorynlp_{split}_final.csv" for split in SPLIT_NAMES),
    redistributable=True,
    obtain="type: erc-harness data fetch emorynlp --data-dir DIR",
    anomalies=(
        "Utterances without subtitles are left out, so that dialogues have holes; Scene_ID repeats across episodes.",
        "Some utterances have several speakers.",
        "Like MELD it is a transcript of Friends: training on one leaks test utterances of the other.",
    ),
    table_notes=(
        "This is the subset of 659 / 89 / 79 scenes; scores do not compare with the official 713 / 99 / 85 scenes "
        "(dataset 'emorynlp-official'), which have the same name in the literature.",
    ),
)


@register_dataset("emorynlp", card=CARD)
def read_emorynlp(folder: Path) -> Mapping[str, Sequence[Dialogue]]:
    """Reads the subset: a dialogue is a scene, "s01_e15_c01"; its utterances are "s01_e15_c01_u001" and so on.

    Args:
        folder: holds the three files.

    Returns:
        Dialogues by split, in the order of the files; utterances sorted by Utterance_ID.

    Raises:
        DataError: a file does not follow the release.
    """
    return {split: group_turns(_turns(folder / f"emorynlp_{split}_final.csv"), "Utterance_ID") for split in SPLIT_NAMES}


def _turns(path: Path) -> Iterator[Turn]:
    for row in read_table(path, _COLUMNS):
        episode = f"s{row.integer('Season'):02}_e{row.integer('Episode'):02}"
        dialogue_id = f"{episode}_c{row.integer('Scene_ID'):02}"
        number = row.integer("Utterance_ID")
        label = row.label("Emotion", EMORYNLP_LABELS)
        utterance = Utterance(f"{dialogue_id}_u{number:03}", _speakers(row), row.text("Utterance"), label)
        yield Turn(row, dialogue_id, number, utterance, (("episode", episode),))


def _speakers(row: Row) -> tuple[str, ...]:
    cell = row.text("Speaker")
    if not _NAMES.fullmatch(cell):
        raise row.error("Speaker", f"{cell!r} is not a list of names; expected a form like ['Ross Geller', 'Julie']")
    return tuple(name[1:-1] for name in re.findall(_NAME, cell))
