"""What networks with a state for each speaker share: cells that read a dialogue in both directions at once.

Way 0 reads forwards, way 1 each dialogue from its true end. The two have weights of their own and take their steps
together, for all dialogues of a batch, so that a batch costs one step for each position of its longest dialogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax, run_rnn

N_WAYS = 2


def read_backwards(lengths: Tensor, like: Tensor) -> Tensor:
    """Returns int64 (batch, n_steps): the position that way 1 reads at each step; padding stays at the end.

    Args:
        lengths: int64 (batch,), on the CPU.
        like: any tensor (batch, n_steps, ...), on the device where the answer belongs.
    """
    steps = torch.arange(like.shape[1], device=like.device)
    last = lengths.to(like.device)[:, None] - 1
    return torch.where(steps <= last, last - steps, steps)


def reorder(values: Tensor, positions: Tensor) -> Tensor:
    """Returns values (batch, n_steps, width) from positions (batch, n_steps); those of way 1 undo themselves."""
    return values.gather(1, positions[..., None].expand(-1, -1, values.shape[-1]))


@dataclass(frozen=True, slots=True)
class Ways:
    """What each way reads at each step."""

    backwards: Tensor
    """int64 (batch, n_utterances): position that way 1 reads."""
    speakers: tuple[Tensor, ...]
    """By step, int64 (n_ways, batch): who speaks; 0 where padded."""

    @classmethod
    def of(cls, batch: DialogueBatch) -> Ways:
        """Returns the steps of a batch."""
        backwards = read_backwards(batch.lengths, batch.speakers)
        speakers = batch.speakers.clamp(min=0)
        return cls(backwards, torch.stack([speakers, speakers.gather(1, backwards)]).unbind(2))

    def take_apart(self, values: Tensor) -> tuple[Tensor, ...]:
        """Returns values (batch, n_utterances, n_ways * width) by step, (n_ways, batch, width) each."""
        forward, backward = values.chunk(N_WAYS, dim=-1)
        return torch.stack([forward, reorder(backward, self.backwards)]).unbind(2)

    def put_together(self, states: Sequence[Tensor]) -> Tensor:
        """Returns states by step as (n_ways, batch, n_utterances, width), in the order of the dialogue."""
        forward, backward = torch.stack(list(states), dim=2)
        return torch.stack([forward, reorder(backward, self.backwards)])


class TwoWayGru(nn.Module):
    """A recurrent layer for each way, that are fed differently."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(width, hidden, batch_first=True)
        self.backwards = nn.GRU(width, hidden, batch_first=True)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Returns states, float32 (n_ways, batch, n_steps, hidden), 0 where padded.

        Args:
            inputs: float32 (n_ways, batch, n_steps, width), both in the order of the sequence.
            lengths: int64 (batch,), on the CPU.
        """
        order = read_backwards(lengths, inputs[0])
        later = reorder(run_rnn(self.backwards, reorder(inputs[1], order), lengths), order)
        return torch.stack([run_rnn(self.forwards, inputs[0], lengths), later])


class TwoWayGruCell(nn.Module):
    """A GRU cell for each way, with inputs in two parts: [what is known before reading ; states].

        r, z = sigmoid(x W + h U)      n = tanh(x W + r * (h U))      h' = (1 - z) * n + z * h

    with biases on both sides. What is known is multiplied for all steps at once.

    Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", section 2.3, in the form of
    torch's GRU; weights are drawn as there, uniform within 1 / sqrt(hidden).
    """

    def __init__(self, known: int, states: int, hidden: int) -> None:
        super().__init__()
        self.of_known = nn.Parameter(torch.empty(known, N_WAYS * 3 * hidden))
        self.of_states = nn.Parameter(torch.empty(N_WAYS, states, 3 * hidden))
        self.of_hidden = nn.Parameter(torch.empty(N_WAYS, hidden, 3 * hidden))
        self.bias_input = nn.Parameter(torch.empty(N_WAYS * 3 * hidden))
        self.bias_hidden = nn.Parameter(torch.empty(N_WAYS, 1, 3 * hidden))
        for weight in self.parameters():
            nn.init.uniform_(weight, -(hidden**-0.5), hidden**-0.5)

    def prepare(self, known: Tensor, ways: Ways) -> tuple[Tensor, ...]:
        """Returns what the first part of the input, (batch, n_utterances, known), adds to the gates, by step."""
        return ways.take_apart(known @ self.of_known + self.bias_input)

    def forward(self, prepared: Tensor, states: Tensor, hidden: Tensor) -> Tensor:
        """Returns the next state, shaped as `hidden`.

        Args:
            prepared: of this step, float32 (n_ways, batch, 3 * hidden).
            states: second part of the input, float32 (n_ways, batch, states).
            hidden: float32 (n_ways, batch, hidden), or (n_ways, batch, n_parties, hidden) for parties of equal input.
        """
        inputs = prepared + torch.bmm(states, self.of_states)
        rows = torch.baddbmm(self.bias_hidden, hidden.flatten(1, -2), self.of_hidden)
        if hidden.dim() == 4:
            inputs, rows = inputs[:, :, None], rows.view(*hidden.shape[:-1], -1)
        width = hidden.shape[-1]
        reset, update = torch.sigmoid(inputs[..., : 2 * width] + rows[..., : 2 * width]).chunk(2, dim=-1)
        new = torch.tanh(inputs[..., 2 * width :] + reset * rows[..., 2 * width :])
        return new + update * (hidden - new)


def side_by_side(states: Tensor) -> Tensor:
    """Returns states of both ways (n_ways, batch, n_steps, width) as (batch, n_steps, n_ways * width)."""
    return torch.cat([*states], dim=-1)


def no_states(batch: DialogueBatch, *shape: int) -> Tensor:
    """Returns zeros, float32 (n_ways, batch, *shape)."""
    return batch.text.new_zeros(N_WAYS, len(batch), *shape)


def of_speaker(parties: Tensor, speakers: Tensor) -> Tensor:
    """Returns the state (..., batch, width) of who speaks.

    Args:
        parties: states of all parties, float32 (..., batch, n_parties, width).
        speakers: int64 (..., batch).
    """
    return parties.gather(-2, speakers[..., None, None].expand(*speakers.shape, 1, parties.shape[-1])).squeeze(-2)


def with_speaker(parties: Tensor, speakers: Tensor, state: Tensor) -> Tensor:
    """Returns the states of all parties, with `state` (..., batch, width) as that of who speaks."""
    speaks = torch.arange(parties.shape[-2], device=speakers.device) == speakers[..., None]
    return torch.where(speaks[..., None], state[..., None, :], parties)


def read_past(query: Tensor, past: Tensor) -> Tensor:
    """Returns the sum of past states by their attention, softmax(query . state); 0 where there is no past.

    Args:
        query: float32 (n_ways, batch, width).
        past: float32 (n_ways, batch, n_past, width).
    """
    weights = torch.softmax(past @ query[..., None], dim=2)
    return (weights.transpose(2, 3) @ past).squeeze(2)


class PartyCells(nn.Module):
    """The states of all parties: who speaks takes a step, and so do the others if they listen.

        q_s' = GRU([said ; context], q_s)        q_l' = GRU([heard ; q_s'], q_l) of every other party l

    Without listeners the states of the others stay as they are.

    Args:
        known: width of what is known of an utterance beforehand.
        hidden: width of states and context.
        dropout: of states as soon as they are computed.
        listener: whether the others listen.
    """

    def __init__(self, known: int, hidden: int, dropout: float, *, listener: bool) -> None:
        super().__init__()
        self.speaker = TwoWayGruCell(known, hidden, hidden)
        self.listener = TwoWayGruCell(known, hidden, hidden) if listener else None
        self.dropout = nn.Dropout(dropout)

    def prepare(self, said: Tensor, heard: Tensor, ways: Ways) -> list[tuple[Tensor, ...]]:
        """Returns what utterances add to the gates of the speaker, and of listeners if any, by step.

        Args:
            said: known to the speaker, float32 (batch, n_utterances, known).
            heard: known to listeners, of that shape.
            ways: the steps.
        """
        prepared = [self.speaker.prepare(said, ways)]
        if self.listener is not None:
            prepared.append(self.listener.prepare(heard, ways))
        return list(zip(*prepared, strict=True))

    def forward(
        self, prepared: tuple[Tensor, ...], context: Tensor, parties: Tensor, speakers: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the next state of who speaks, (n_ways, batch, hidden), and those of all parties.

        Args:
            prepared: of this step.
            context: float32 (n_ways, batch, hidden).
            parties: float32 (n_ways, batch, n_parties, hidden).
            speakers: int64 (n_ways, batch).
        """
        speaker = self.dropout(self.speaker(prepared[0], context, of_speaker(parties, speakers)))
        if self.listener is not None:
            parties = self.dropout(self.listener(prepared[1], speaker, parties))
        return speaker, with_speaker(parties, speakers, speaker)


class AttentionOverDialogue(nn.Module):
    """Attention 'general2' of every utterance over all: e'_t = sum_j softmax_j((W e_t + b) . e_j) e_j.

    Source: declare-lab/conv-emotion. Knowingly different: the softmax is over the true utterances of the dialogue;
    there, padding gets the score 0 and takes its part of the sum.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Returns float32 (batch, n_utterances, width), from states of that shape and a mask (batch, n_utterances)."""
        scores = self.query(states) @ states.transpose(1, 2)
        attended: Tensor = masked_softmax(scores, mask[:, None]) @ states
        return attended
