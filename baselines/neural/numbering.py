"""Dialogues as arrays: standardised features, speakers and labels as numbers. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data import Split
from harness.errors import DataError
from harness.features.features import Rows
from harness.predictors.featured import Stream
from harness.schema import Dialogue, LabelSet, UtteranceView

NO_LABEL = -1
"""Of an utterance without gold label, and of padding; no loss counts it."""

Scales = dict[str, NDArray[np.float32]]
"""Mean and standard deviation of every feature: float32 (2, width) by kind of features."""


@dataclass(frozen=True, slots=True)
class NumberedDialogue:
    """One dialogue as arrays."""

    features: Mapping[Stream, Rows]
    """float32 (n_utterances, width) by kind."""
    speakers: NDArray[np.int64]
    """int64 (n_utterances,), numbered by first appearance in the dialogue: 0, 1, ..."""
    labels: NDArray[np.int64]
    """int64 (n_utterances,), ids of labels; -1: none."""

    def __len__(self) -> int:
        return len(self.speakers)

    def beginning(self, n: int) -> NumberedDialogue:
        """Returns the first n utterances."""
        features = {stream: rows[:n] for stream, rows in self.features.items()}
        return NumberedDialogue(features, self.speakers[:n], self.labels[:n])


def number_speakers(names: Sequence[str]) -> NDArray[np.int64]:
    """Returns int64 (n_utterances,): who speaks, numbered by first appearance.

    People who speak together (EmoryNLP) are a party of their own.
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def labelled_dialogues(split: Split) -> list[Dialogue]:
    """Returns the dialogues of a split that have a label; raises DataError if there are none."""
    dialogues = [d for d in split.dialogues if d.labelled()]
    if not dialogues:
        raise DataError(f"{split.dataset}, split {split.name!r}: no utterance has a label; expected some")
    return dialogues


def number_labels(dialogues: Sequence[Dialogue], label_set: LabelSet) -> list[list[int]]:
    """Returns the ids of the labels of every utterance; -1 where there is none."""
    return [
        [NO_LABEL if u.label is None else label_set.index(u.label) for u in dialogue.utterances]
        for dialogue in dialogues
    ]


def measure_scales(rows: Mapping[Stream, Rows]) -> Scales:
    """Returns mean and standard deviation of features; where a feature is constant the latter is 1.

    Sums are in float64: those of ten thousand equal numbers in float32 have a deviation.
    """
    scales: Scales = {}
    for stream, own in rows.items():
        mean, deviation = own.mean(axis=0, dtype=np.float64), own.std(axis=0, dtype=np.float64)
        varies = deviation > 1e-6 * np.abs(mean) + 1e-8
        scales[stream] = np.stack([mean, np.where(varies, deviation, 1.0)]).astype(np.float32)
    return scales


def number_dialogues(
    dialogues: Sequence[Sequence[UtteranceView]],
    rows: Mapping[Stream, Rows],
    scales: Scales,
    labels: Sequence[Sequence[int]] | None = None,
) -> list[NumberedDialogue]:
    """Returns dialogues as arrays.

    Args:
        dialogues: their utterances.
        rows: features of all utterances, one dialogue after the other.
        scales: by which features are standardised.
        labels: ids by dialogue; None: nobody knows any.

    Raises:
        DataError: features are not as wide as in the training split.
    """
    for stream, own in rows.items():
        if own.shape[1] != scales[stream].shape[1]:
            raise DataError(
                f"{stream} features: {own.shape[1]} numbers an utterance, expected {scales[stream].shape[1]} as in the "
                "training split; give one file or encoder for all splits"
            )
    ends = np.cumsum([len(utterances) for utterances in dialogues])[:-1]
    parts = {stream: np.split((own - scales[stream][0]) / scales[stream][1], ends) for stream, own in rows.items()}
    return [
        NumberedDialogue(
            {stream: own[i] for stream, own in parts.items()},
            number_speakers([u.speaker for u in utterances]),
            np.array([NO_LABEL] * len(utterances) if labels is None else labels[i], dtype=np.int64),
        )
        for i, utterances in enumerate(dialogues)
    ]
