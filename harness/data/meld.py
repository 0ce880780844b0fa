"""MELD, text modality: {train,dev,test}_sent_emo.csv of declare-lab/MELD, or older copies of these files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.data.catalogue import register_dataset
from harness.data.dataset import ClipNames, DatasetCard
from harness.data.split import SPLIT_NAMES
from harness.data.tables import Turn, group_turns, read_table
from harness.schema import Dialogue, LabelSet, Utterance

_COLUMNS = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)

_LABELS = LabelSet(("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"), neutral="neutral")
"""In the order of declare-lab/conv-emotion, whose class weights other systems copy."""

CARD = DatasetCard(
    title="MELD",
    label_set=_LABELS,
    language="en",
    license="GPL-3.0",
    source="declare-lab/MELD (Poria et al., ACL 2019)",
    folder="meld",
    files=tuple(f"{split}_sent_emo.csv" for split in SPLIT_NAMES),
    redistributable=True,
    obtain="type: erc-harness data fetch meld --data-dir DIR",
    clips=ClipNames(  # the second names are those in MELD.Raw.tar.gz
        {
            "train": ("train", "train_splits"),
            "dev": ("dev", "dev_splits_complete"),
            "test": ("test", "output_repeated_splits_test"),
        }
    ),
    anomalies=(
        "Train has 1,038 dialogues: dialogue 60 is missing, and the README of the release counts 1,039.",
        "Utterance_ID has gaps in 72 / 2 / 2 dialogues of train / dev / test; utterances are sorted by it.",
        "Dialogue ids restart at 0 in each file: they are unique within a split only.",
        "Older copies hold the cp1252 byte 0x92 for the apostrophe U+2019; both are read to the same text.",
        "The clip of dev dia110_utt7 is missing, that of train dia125_utt3 is corrupt, and some are mis-aligned.",
        "Like EmoryNLP it is a transcript of Friends: training on one leaks test utterances of the other.",
    ),
)


@register_dataset("meld", card=CARD)
def read_meld(folder: Path) -> Mapping[str, Sequence[Dialogue]]:
    """Reads MELD: dialogue ids like "dia12", utterance ids like "dia12_utt3", the episode as an attribute.

    Args:
        folder: holds the three files.

    Returns:
        Dialogues by split, in the order of the files; utterances sorted by Utterance_ID.

    Raises:
        DataError: a file does not follow the release.
    """
    return {split: group_turns(_turns(folder / f"{split}_sent_emo.csv"), "Utterance_ID") for split in SPLIT_NAMES}


def _turns(path: Path) -> Iterator[Turn]:
    for row in read_table(path, _COLUMNS, cp1252=True):
        dialogue_id = f"dia{row.integer('Dialogue_ID')}"
        number = row.integer("Utterance_ID")
        episode = f"s{row.integer('Season'):02}_e{row.integer('Episode'):02}"
        label = row.label("Emotion", _LABELS)
        utterance = Utterance(f"{dialogue_id}_utt{number}", (row.text("Speaker"),), row.text("Utterance"), label)
        yield Turn(row, dialogue_id, number, utterance, (("episode", episode),))
