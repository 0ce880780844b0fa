"""Layers that several systems use. None of them lets padding or a batch companion into the states of a dialogue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from baselines.neural.batch import DialogueBatch


def run_rnn(rnn: nn.LSTM | nn.GRU, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Returns the states of a recurrent layer over sequences of different length, 0 where padded.

    The same numbers as a packed sequence gives. On the CPU, sequences of similar length are run together instead, the
    backward direction reading each reversed at its true end: packed ones are cut into steps, which takes far longer.

    Args:
        rnn: with `batch_first=True`, zero initial state, no projection.
        inputs: float32 (batch, n_steps, width).
        lengths: int64 (batch,), on the CPU, each at least 1.

    Returns:
        float32 (batch, n_steps, hidden * n_directions).
    """
    if inputs.is_cuda:
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=inputs.shape[1])[0]
    width = rnn.hidden_size * (2 if rnn.bidirectional else 1)
    states = inputs.new_zeros(*inputs.shape[:2], width)
    for rows, n_steps in _groups_by_length(lengths):
        states[rows, :n_steps] = _run_padded(rnn, inputs[rows, :n_steps], lengths[rows])
    return states


def _groups_by_length(lengths: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Yields the rows of sequences whose lengths lie within a factor of two, and the greatest length among them."""
    bound = int(lengths.max())
    while bound:
        rows = ((lengths <= bound) & (lengths > bound // 2)).nonzero().squeeze(1)
        yield rows, bound
        rest = lengths[lengths <= bound // 2]
        bound = int(rest.max()) if len(rest) else 0


def _run_padded(rnn: nn.LSTM | nn.GRU, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Returns the states on the CPU, as `run_rnn`; the longest sequence has no padding."""
    steps = torch.arange(inputs.shape[1])
    mask = steps < lengths[:, None]
    reverse = torch.where(mask, lengths[:, None] - 1 - steps, steps)[..., None]
    states = inputs
    for layer in range(rnn.num_layers):
        ways = [_run_direction(rnn, layer, 0, states)]
        if rnn.bidirectional:
            backward = _run_direction(rnn, layer, 1, states.gather(1, reverse.expand(-1, -1, states.shape[-1])))
            ways.append(backward.gather(1, reverse.expand(-1, -1, backward.shape[-1])))
        states = torch.cat(ways, dim=-1)
        if layer < rnn.num_layers - 1:
            states = nn.functional.dropout(states, rnn.dropout, rnn.training)
    return states * mask[..., None]


def _run_direction(rnn: nn.LSTM | nn.GRU, layer: int, direction: int, inputs: Tensor) -> Tensor:
    """Returns the states of one layer in one direction, from left to right."""
    ending = f"_l{layer}{'_reverse' if direction else ''}"
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if rnn.bias else ("weight_ih", "weight_hh")
    weights = [getattr(rnn, kind + ending) for kind in kinds]
    zero = inputs.new_zeros(1, len(inputs), rnn.hidden_size)
    settings = (weights, rnn.bias, 1, 0.0, rnn.training, False, True)
    if isinstance(rnn, nn.LSTM):
        states: Tensor = torch.lstm(inputs, (zero, zero), *settings)[0]
    else:
        states = torch.gru(inputs, zero, *settings)[0]
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
