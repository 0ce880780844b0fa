"""Graphs whose edges join an utterance with those around it, as dense tensors.

Slot k of the window of utterance i holds utterance i - past + k, so that a graph is a tensor (batch, n_utterances,
n_slots, ...) and a sum over edges a product of matrices: cost linear in the number of utterances, and no scatter, whose
order would not be settled on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of the utterances of a batch, each with the utterance itself."""

    past: int
    """Utterances before."""
    future: int
    """Utterances after."""
    others: Tensor
    """int64 (batch, n_utterances, n_slots): speaker of each slot; -1 where nobody is."""
    own: Tensor
    """int64 (batch, n_utterances, 1): speaker of the utterance; -1 where padded."""

    @classmethod
    def of(cls, batch: DialogueBatch, past: int, future: int) -> Windows:
        """Returns the windows of a batch."""
        padded = nn.functional.pad(batch.speakers, (past, future), value=-1)
        return cls(past, future, padded.unfold(1, past + 1 + future, 1), batch.speakers[..., None])

    @property
    def edges(self) -> Tensor:
        """bool (batch, n_utterances, n_slots): True where an utterance has a neighbour; itself is one."""
        return (self.others >= 0) & (self.own >= 0)

    @property
    def distance(self) -> Tensor:
        """int64 (n_slots,): how much later the utterance of a slot is said; negative if earlier."""
        return torch.arange(-self.past, self.future + 1, device=self.others.device)

    def gather(self, states: Tensor) -> Tensor:
        """Returns the states in every window, float32 (batch, n_utterances, width, n_slots), a view; 0 beyond the ends.

        Args:
            states: float32 (batch, n_utterances, width).
        """
        padded = nn.functional.pad(states, (0, 0, self.past, self.future))
        return padded.unfold(1, self.past + 1 + self.future, 1)
