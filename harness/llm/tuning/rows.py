"""Batches without padding: the examples of an update, packed into rows in which no token is computed twice.

What examples share from their beginning, the instruction above all, stands once in a row, and every example sees its
own branch only: loss and gradients are those of examples computed one by one, but for rounding. Owns which examples
make an update, in which order, and how they are shared out among rows. Knows no model.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from harness.llm.local.choice_tree import Candidates, Row, header_of
from harness.llm.local.row_pass import row_inputs, telling_positions


class LoadedRow(NamedTuple):
    """A row and how many tokens its update learns."""

    row: Row
    n_learned: int


class RowPlan(torch.utils.data.Dataset[LoadedRow]):
    """The rows of one epoch, in order of updates; `set_epoch` draws another order.

    Every update has the same number of rows, `n_rows`, because gradients are accumulated over a fixed number of them;
    its examples are dealt out so that rows are of like length. Updates have `batch_size` examples at most, and none has
    two more than another.

    Args:
        examples: prompts with one continuation each.
        batch_size: examples per update at most.
        n_tokens: of a row, about; 1: every example has a row of its own.
        n_workers: processes that share the rows of an update; each gets as many.
        seed: of the order.
    """

    def __init__(
        self, examples: Sequence[Candidates], batch_size: int, n_tokens: int, n_workers: int = 1, seed: int = 0
    ) -> None:
        self._examples = examples
        self._seed = seed
        self.n_tokens = n_tokens
        self.n_updates = -(-len(examples) // batch_size)
        shared = len(header_of(examples))
        self._sizes = [len(one.context) + len(one.continuations[0]) - shared for one in examples]
        per_update = -(-len(examples) // self.n_updates)
        needed = per_update * float(np.mean(self._sizes)) / max(1, n_tokens - shared)
        self.n_rows = min(per_update, max(1, round(needed + 0.25)))
        self.n_rows = -(-self.n_rows // n_workers) * n_workers
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draws the order of an epoch, numbered from 0: the same each time."""
        rng = np.random.default_rng((self._seed, epoch))
        self._updates = np.array_split(rng.permutation(len(self._examples)), self.n_updates)
        self._dealt: tuple[int, list[list[int]]] = (-1, [])

    def update(self, number: int) -> NDArray[np.int64]:
        """Returns which examples make an update of this epoch."""
        return self._updates[number]

    def __len__(self) -> int:
        """Returns the number of rows of an epoch."""
        return self.n_updates * self.n_rows

    def __getitem__(self, index: int) -> LoadedRow:
        """Returns a row of this epoch; one without examples holds a token and learns nothing."""
        number, place = divmod(index, self.n_rows)
        if self._dealt[0] != number:
            self._dealt = (number, self._deal(self._updates[number]))
        row = Row(0)
        for example in self._dealt[1][place]:
            row.add(example, self._examples[example])
        if not row.tokens:
            row.add(-1, Candidates(self._examples[0].context[:1], ()))
        n_learned = sum(len(self._examples[i].continuations[0]) for i in self._updates[number])
        return LoadedRow(row, n_learned)

    def _deal(self, update: NDArray[np.int64]) -> list[list[int]]:
        """Returns the examples of each row: the longest first, always to the row that is shortest so far."""
        heap = [(0, place) for place in range(self.n_rows)]
        rows: list[list[int]] = [[] for _ in heap]
        for example in sorted(update.tolist(), key=lambda i: (-self._sizes[i], i)):
            length, place = heap[0]
            rows[place].append(example)
            heapq.heapreplace(heap, (length + self._sizes[example], place))
        return rows


def collate_row(loaded: Sequence[LoadedRow], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Returns the tensors of the only row of a batch: its inputs, and what it learns.

    Returns:
        Those of `row_inputs`, without the mask where the row does not branch; logits_to_keep, int64 (n_kept,):
        positions that tell a learned token; which, int64 (n_learned_here,): which of them tells each; targets, int64
        (n_learned_here,); n_learned, int64 (): tokens that the whole update learns.
    """
    ((row, n_learned),) = loaded
    positions, which = telling_positions(row)
    inputs = row_inputs(row, dtype)
    if row.parents == list(range(-1, len(row.parents) - 1)):  # the model's own mask is right, and faster
        del inputs["attention_mask"]
    return inputs | {
        "logits_to_keep": torch.tensor(positions, dtype=torch.int64),
        "which": torch.tensor(which, dtype=torch.int64),
        "targets": torch.tensor(row.targets, dtype=torch.int64),
        "n_learned": torch.tensor(n_learned),
    }
