"""Padded batches of dialogues: what every network gets. They hold no text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from baselines.neural.numbering import NO_LABEL, NumberedDialogue
from harness.predictors.featured import Stream


@dataclass(frozen=True)
class DialogueBatch:
    """Several dialogues, padded at their ends to the longest."""

    features: Mapping[Stream, Tensor]
    """float32 (batch, n_utterances, width) by kind; 0 where padded."""
    lengths: Tensor
    """int64 (batch,), on the CPU: utterances of each dialogue, at least 1."""
    speakers: Tensor
    """int64 (batch, n_utterances): who speaks, numbered by first appearance in the dialogue; -1 where padded."""
    labels: Tensor
    """int64 (batch, n_utterances): ids of labels; -1 where there is none and where padded."""

    @property
    def text(self) -> Tensor:
        """Text features, float32 (batch, n_utterances, width)."""
        return self.features["text"]

    @cached_property
    def mask(self) -> Tensor:
        """bool (batch, n_utterances): True at utterances, False where padded."""
        return self.speakers >= 0

    @cached_property
    def n_speakers(self) -> int:
        """Largest number of speakers in a dialogue of the batch."""
        return int(self.speakers.max()) + 1

    def __len__(self) -> int:
        return len(self.lengths)


def make_batch(dialogues: Sequence[NumberedDialogue], device: str = "cpu", extra: int = 0) -> DialogueBatch:
    """Returns dialogues as one batch.

    Args:
        dialogues: at least one; all with the same kinds of features.
        device: where the tensors belong, but for `lengths`.
        extra: padding beyond the longest dialogue, for tests.
    """
    lengths = torch.tensor([len(d) for d in dialogues])
    n = int(lengths.max()) + extra
    speakers = torch.full((len(dialogues), n), -1)
    labels = torch.full((len(dialogues), n), NO_LABEL)
    widths = {stream: rows.shape[1] for stream, rows in dialogues[0].features.items()}
    features = {stream: torch.zeros(len(dialogues), n, width) for stream, width in widths.items()}
    for i, dialogue in enumerate(dialogues):
        speakers[i, : len(dialogue)] = torch.from_numpy(dialogue.speakers)
        labels[i, : len(dialogue)] = torch.from_numpy(dialogue.labels)
        for stream, rows in dialogue.features.items():
            features[stream][i, : len(dialogue)] = torch.from_numpy(rows)
    moved = {stream: tensor.to(device) for stream, tensor in features.items()}
    return DialogueBatch(moved, lengths, speakers.to(device), labels.to(device))
