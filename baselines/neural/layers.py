"""Layers that several systems use. None of them lets padding or a batch companion into the states of a dialogue."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from baselines.neural.batch import DialogueBatch


def run_packed(rnn: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Returns the states of a recurrent layer over sequences of different length.

    Args:
        rnn: LSTM or GRU with `batch_first=True`.
        inputs: float32 (batch, n_steps, width).
        lengths: int64 (batch,), on the CPU, each at least 1; a backward direction begins at the true end.

    Returns:
        float32 (batch, n_steps, states), 0 where padded.
    """
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=inputs.shape[1])
    return states


@dataclass(frozen=True, slots=True)
class SpeakerTurns:
    """The turns of each speaker as sequences of their own: which utterance is which turn."""

    index: Tensor
    """int64 (n_parties, n_turns): position of each turn in the flattened (batch * n_utterances); 0 where padded."""
    mask: Tensor
    """bool (n_parties, n_turns)."""
    lengths: Tensor
    """int64 (n_parties,), on the CPU: turns of each speaker, at least 1."""

    @classmethod
    def of(cls, batch: DialogueBatch) -> SpeakerTurns:
        """Returns the turns of every speaker of every dialogue; cost linear in the number of utterances."""
        n_utterances = batch.speakers.shape[1]
        positions = batch.mask.flatten().nonzero().squeeze(1)
        parties = positions // n_utterances * batch.n_speakers + batch.speakers.flatten()[positions]
        order = torch.argsort(parties, stable=True)
        _, lengths = torch.unique_consecutive(parties[order], return_counts=True)
        mask = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
        index = torch.zeros_like(mask, dtype=torch.int64)
        index[mask] = positions[order]
        return cls(index, mask, lengths.cpu())

    def gather(self, states: Tensor) -> Tensor:
        """Returns float32 (n_parties, n_turns, width) from states (batch, n_utterances, width)."""
        return states.flatten(0, 1)[self.index] * self.mask[..., None]

    def scatter(self, turns: Tensor, like: Tensor) -> Tensor:
        """Returns turns (n_parties, n_turns, width) where they were said, (batch, n_utterances, width), else 0.

        Args:
            turns: states of the turns.
            like: any tensor (batch, n_utterances, ...) of the batch.
        """
        flat = turns.new_zeros(like.shape[0] * like.shape[1], turns.shape[-1])
        flat = flat.index_copy(0, self.index[self.mask], turns[self.mask])
        return flat.view(like.shape[0], like.shape[1], -1)


def masked_softmax(scores: Tensor, mask: Tensor, dim: int = -1) -> Tensor:
    """Returns weights that sum to 1 over what the mask admits, and are 0 elsewhere; all 0 where it admits nothing.

    Args:
        scores: float32, any shape.
        mask: bool, broadcastable to it.
        dim: of the sum.
    """
    weights = torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), dim=dim)
    return weights * mask
