"""What was said before each utterance, by its own speaker and by all others, in slots that are aligned in time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import run_rnn


@dataclass(frozen=True, slots=True)
class Histories:
    """The last utterances before each target, every utterance of a batch being one.

    Targets of one speaker whose histories begin alike share one history: the longest holds the others as beginnings.
    As long as no dialogue has more utterances than there are slots and one, that is one history a speaker.
    """

    positions: Tensor
    """int64 (n_histories, n_slots): place of each slot in the flattened (batch * n_utterances); 0 where empty."""
    own: Tensor
    """bool (n_histories, n_slots): True where the speaker of the targets speaks."""
    other: Tensor
    """bool (n_histories, n_slots): True where somebody else speaks; neither where a slot is empty."""
    belongs: Tensor
    """int64 (n_targets,): the history of each target; targets are the utterances in order, dialogue after dialogue."""
    before: Tensor
    """bool (n_targets, n_slots): True at the slots of that history that come before the target."""

    @classmethod
    def of(cls, batch: DialogueBatch, n_slots: int) -> Histories:
        """Returns the histories of every utterance of a batch, with the last `n_slots` utterances before it.

        There are no more slots than the longest history needs, and at least one.
        """
        n, device = batch.speakers.shape[1], batch.speakers.device
        dialogue, target = batch.mask.nonzero(as_tuple=True)
        speaker = batch.speakers[dialogue, target]
        start = (target - n_slots).clamp(min=0)
        keys = torch.stack([dialogue, speaker, start], dim=1)
        kinds, belongs = torch.unique(keys, dim=0, return_inverse=True)
        slots = torch.arange(max(1, min(n_slots, n - 1)), device=device)
        before = slots < (target - start)[:, None]
        n_before = torch.zeros(len(kinds), dtype=torch.int64, device=device)
        n_before = n_before.scatter_reduce(0, belongs, target - start, "amax")
        filled = slots < n_before[:, None]
        positions = (kinds[:, :1] * n + kinds[:, 2:] + slots) * filled
        same = batch.speakers.flatten()[positions] == kinds[:, 1:2]
        return cls(positions, filled & same, filled & ~same, belongs, before)

    def gather(self, states: Tensor) -> Tensor:
        """Returns float32 (n_histories, n_slots, width) from states (batch, n_utterances, width)."""
        return states.flatten(0, 1)[self.positions]


def run_where(rnn: nn.GRU, inputs: Tensor, present: Tensor) -> Tensor:
    """Returns the states of a recurrent layer that skips absent slots, at which its state stays and its output is 0.

    Args:
        rnn: with `batch_first=True`.
        inputs: float32 (n_histories, n_slots, width).
        present: bool (n_histories, n_slots).

    Returns:
        float32 (n_histories, n_slots, hidden).
    """
    order = torch.argsort((~present).int(), dim=1, stable=True)
    lengths = present.sum(dim=1)
    n_steps = max(1, int(lengths.max()))
    first = order[:, :n_steps, None].expand(-1, -1, inputs.shape[-1])
    states = run_rnn(rnn, inputs.gather(1, first), lengths.clamp(min=1).cpu())
    back = torch.argsort(order, dim=1).clamp(max=n_steps - 1)[..., None].expand(-1, -1, states.shape[-1])
    return states.gather(1, back) * present[..., None]
