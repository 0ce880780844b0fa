"""DailyDialog: the text files of the official release, after its inner train.zip, validation.zip and test.zip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.data.catalogue import register_dataset
from harness.data.dataset import DatasetCard
from harness.data.files import read_text
from harness.errors import DataError
from harness.schema import Dialogue, LabelSet, Utterance

_FOLDERS = {"train": "train", "dev": "validation", "test": "test"}
_END = "__eou__"
_LABELS = LabelSet(("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise"), neutral="neutral")
"""In the order of the release's ids 0 to 6; it calls neutral "no emotion"."""

CARD = DatasetCard(
    title="DailyDialog",
    label_set=_LABELS,
    language="en",
    license="CC BY-NC-SA 4.0",
    source="Li et al., IJCNLP 2017 (yanran.li/dailydialog)",
    folder="dailydialog",
    files=tuple(f"{name}/dialogues_{kind}{name}.txt" for name in _FOLDERS.values() for kind in ("", "emotion_")),
    redistributable=False,
    obtain="type: erc-harness data fetch dailydialog --data-dir DIR",
    metric="micro_f1_no_neutral",
    anomalies=(
        "Neutral is 6,321 of 7,740 test utterances; the field's metric, micro-F1, leaves it out.",
        "Speakers are not named: two people who take turns, A and B, are assumed.",
    ),
)


@register_dataset("dailydialog", card=CARD)
def read_dailydialog(folder: Path) -> Mapping[str, Sequence[Dialogue]]:
    """Reads DailyDialog: "dia12" is line 12 of the file of its split, "dia12_utt3" the third utterance of that line.

    Args:
        folder: holds the folders train, validation and test.

    Returns:
        Dialogues by split, in the order of the files; texts stay tokenised as released.

    Raises:
        DataError: a file does not follow the release.
    """
    return {split: list(_dialogues(folder / name, name)) for split, name in _FOLDERS.items()}


def _dialogues(folder: Path, name: str) -> Iterator[Dialogue]:
    text_path, label_path = folder / f"dialogues_{name}.txt", folder / f"dialogues_emotion_{name}.txt"
    texts, labels = (read_text(path).rstrip().split("\n") for path in (text_path, label_path))
    if len(texts) != len(labels):
        problem = f"holds {len(labels)} dialogues; expected {len(texts)}, as in {text_path}"
        raise DataError.at(label_path, problem, line=min(len(texts), len(labels)))
    for number, (text, ids) in enumerate(zip(texts, labels, strict=True), 1):
        *utterances, rest = (part.strip() for part in text.split(_END))
        if rest or not utterances:
            problem = f"the line does not end with {_END}; expected it after each utterance, the file may be cut off"
            raise DataError.at(text_path, problem, line=number)
        names = [_label(label_path, number, label) for label in ids.split()]
        if len(names) != len(utterances):
            problem = f"{len(names)} labels; expected {len(utterances)}, as utterances on this line of {text_path}"
            raise DataError.at(label_path, problem, line=number)
        yield Dialogue(
            f"dia{number}",
            tuple(
                Utterance(f"dia{number}_utt{i + 1}", ("AB"[i % 2],), utterance, label)
                for i, (utterance, label) in enumerate(zip(utterances, names, strict=True))
            ),
        )


def _label(path: Path, line: int, label_id: str) -> str:
    if label_id not in tuple("0123456"):
        raise DataError.at(path, f"unknown label {label_id!r}; expected a number from 0 to 6", line=line)
    return _LABELS.labels[int(label_id)]
