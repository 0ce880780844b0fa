"""One pass of a causal language model over a row: its inputs, and the log-likelihoods that come out. Loads nothing."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch

from harness.llm.local.choice_tree import Row

Scores = dict[int, tuple[float, ...] | None]
"""Log-likelihood in nats of each choice by number of the prompt; None: no memory for it."""


def row_inputs(row: Row, dtype: torch.dtype, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Returns what a model reads of a row.

    Returns:
        input_ids and position_ids: int64 (1, n_tokens); attention_mask: dtype (1, 1, n_tokens, n_header + n_tokens),
        0 where a token sees another and the lowest number elsewhere.
    """
    n_tokens = len(row.tokens)
    hidden = torch.from_numpy(~row.visible()).to(device)
    mask = torch.zeros((1, 1, n_tokens, row.n_header + n_tokens), dtype=dtype, device=device)
    mask[0, 0, :, row.n_header :].masked_fill_(hidden, torch.finfo(dtype).min)
    return {
        "input_ids": torch.tensor([row.tokens], device=device),
        "attention_mask": mask,
        "position_ids": torch.tensor([row.depths], device=device),
    }


def telling_positions(row: Row) -> tuple[list[int], list[int]]:
    """Returns the positions whose logits tell a token of a choice, each once, and which of them tells each token."""
    positions, which = np.unique(row.sources, return_inverse=True)
    return positions.tolist(), which.tolist()


def accepts(model: Any, *names: str) -> bool:
    """Returns whether a model's forward pass takes some keywords."""
    return set(names) <= set(inspect.signature(model.forward).parameters)


def log_likelihoods(logits: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Returns the log-probability of each token by the row of logits that tells it.

    Args:
        logits: (n_rows, vocabulary).
        rows: int64 (n_tokens,).
        tokens: int64 (n_tokens,).

    Returns:
        float32 (n_tokens,), nats.
    """
    exact = logits.float()
    return exact[rows, tokens] - exact.logsumexp(-1)[rows]


def add_up(owners: Sequence[tuple[int, int]], values: Sequence[float]) -> Scores:
    """Returns sums by prompt and choice; owners of one choice stand together, choices in order."""
    sums: Scores = {}
    for (number, _), run in groupby(zip(owners, values, strict=True), key=lambda pair: pair[0]):
        sums[number] = (*(sums.get(number) or ()), sum(value for _, value in run))
    return sums
