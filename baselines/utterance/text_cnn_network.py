"""Network of TextCNN, and utterances as one batch of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.utterance.words import PADDING

KERNELS = (3, 4, 5)
"""Words that a filter sees at once."""


def pad_words(utterances: Sequence[NDArray[np.int64]], device: str = "cpu", extra: int = 0) -> tuple[Tensor, Tensor]:
    """Returns (words int64 (batch, n_words), lengths int64 (batch,)); every row is as long as the longest filter.

    Args:
        utterances: numbers of words, int64 (n_words,) each, may be empty.
        device: where the tensors belong.
        extra: padding beyond the longest, for tests.
    """
    lengths = torch.tensor([len(one) for one in utterances])
    words = torch.full((len(utterances), max(int(lengths.max()), KERNELS[-1]) + extra), PADDING)
    for row, one in zip(words, utterances, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    return words.to(device), lengths.to(device)


class TextCnnNetwork(nn.Module):
    """Filters over word vectors, the largest value of each, a layer with ReLU, the labels.

    Args:
        n_words: numbers of words, those of padding and of unknown ones included.
        width: of the word vectors.
        maps: filters of each kernel.
        hidden: width of the layer before the labels.
        n_labels: of the label set.
        dropout: before that layer and before the labels.
        frozen: whether the word vectors stay as they are.
    """

    def __init__(
        self, n_words: int, width: int, maps: int, hidden: int, n_labels: int, dropout: float, *, frozen: bool
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, width, padding_idx=PADDING)
        self.words.weight.requires_grad_(not frozen)
        self.filters = nn.ModuleList(nn.Conv1d(width, maps, kernel) for kernel in KERNELS)
        self.hidden = nn.Linear(maps * len(KERNELS), hidden)
        self.head = nn.Linear(hidden, n_labels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Returns logits, float32 (batch, n_labels).

        A filter sees the windows within an utterance; one that is shorter than the longest filter counts as that long,
        so that it has a window of each. Windows that reach further into the padding are not there.

        Args:
            words: int64 (batch, n_words), at least 5 wide.
            lengths: int64 (batch,): words of each utterance.
        """
        vectors = self.words(words).transpose(1, 2)  # (batch, width, n_words)
        ends = lengths.clamp(min=KERNELS[-1])[:, None]
        largest = []
        for conv, kernel in zip(self.filters, KERNELS, strict=True):
            values = torch.relu(conv(vectors))  # (batch, maps, n_windows), nothing below 0
            inside = torch.arange(values.shape[-1], device=words.device) + kernel <= ends
            largest.append((values * inside[:, None]).amax(dim=-1))
        features = torch.relu(self.hidden(self.dropout(torch.cat(largest, dim=-1))))
        logits: Tensor = self.head(self.dropout(features))
        return logits
