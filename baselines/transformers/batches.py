"""Passages as tensors, and in portions that fit into memory. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from baselines.transformers.passage import Passage

N_TOKENS_AT_ONCE = 8192
"""Of passages that are answered together: about 0.5 GB for an encoder of RoBERTa-large's size."""


def pad_tokens(sequences: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns (ids, mask), int64 and bool (n_sequences, n_tokens), padded at the ends; True in the mask at tokens."""
    n = max(map(len, sequences))
    ids = torch.tensor([[*tokens, *[pad] * (n - len(tokens))] for tokens in sequences], device=device)
    lengths = torch.tensor([len(tokens) for tokens in sequences], device=device)
    return ids, torch.arange(n, device=device) < lengths[:, None]


def portions(passages: Sequence[Passage]) -> Iterator[Sequence[Passage]]:
    """Yields passages in order, as many at once as have `N_TOKENS_AT_ONCE` tokens together, padding counted."""
    n = max(1, N_TOKENS_AT_ONCE // max(passage.n_tokens for passage in passages))
    for start in range(0, len(passages), n):
        yield passages[start : start + n]
