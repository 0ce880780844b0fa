"""The network of DialogXL: XLNet's layers over one utterance after the other, with a memory of those before.

Needs torch. The weights are those of an XLNet of transformers, whose layers are called with masks of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines.transformers.batches import pad_tokens
from baselines.transformers.passage import Passage


@dataclass(frozen=True)
class Memory:
    """Hidden states of the last tokens of each dialogue, without padding between them; the free slots come first."""

    states: tuple[Tensor, ...]
    """What each layer got: float32 (n_slots, batch, width); no gradient flows into them."""
    turns: Tensor
    """int64 (batch, n_slots): position of the utterance that a token is of; -1 where free."""

    @classmethod
    def empty(cls, n_layers: int, batch: int, width: int, device: torch.device) -> Memory:
        """Returns a memory without slots."""
        states = torch.zeros(0, batch, width, device=device)
        return cls((states,) * n_layers, torch.zeros(batch, 0, dtype=torch.int64, device=device))

    def of_first(self, n: int) -> Memory:
        """Returns the memory of the first n dialogues."""
        return Memory(tuple(states[:, :n] for states in self.states), self.turns[:n])

    def with_turn(self, inputs: Sequence[Tensor], mask: Tensor, turn: int, n_slots: int) -> Memory:
        """Returns the memory after one more utterance.

        Args:
            inputs: what each layer got, float32 (n_tokens, batch, width), padded at the end.
            mask: bool (batch, n_tokens), True at tokens.
            turn: position of the utterance.
            n_slots: tokens that are kept at most.
        """
        n_old, held, new = self.turns.shape[1], (self.turns >= 0).sum(1), mask.sum(1)
        n = min(n_slots, int((held + new).max()))
        slots = (n_old + new - n)[:, None] + torch.arange(n, device=mask.device)  # in old and new ones side by side
        free, slots = slots < (n_old - held)[:, None], slots.clamp(min=0)
        turns = torch.cat([self.turns, torch.full_like(mask, turn, dtype=torch.int64)], dim=1).gather(1, slots)
        index = slots.t()[..., None].expand(-1, -1, inputs[0].shape[-1])
        states = (torch.cat([old, own.detach()]).gather(0, index) for old, own in zip(self.states, inputs, strict=True))
        return Memory(tuple(states), turns.masked_fill(free, -1))


def visible_slots(turns: Tensor, speakers: Tensor, turn: int, window: int) -> Tensor:
    """Returns which slots of the memory each kind of head sees: bool (4, batch, n_slots).

    The kinds are: local, the last `window` utterances; global, all; self, what the speaker has said; listener, what
    others have said.

    Args:
        turns: of the slots, int64 (batch, n_slots); -1 where free.
        speakers: who says which utterance, int64 (batch, n_utterances).
        turn: position of the utterance that looks.
        window: of the local heads.
    """
    held = turns >= 0
    own = speakers.gather(1, turns.clamp(min=0)) == speakers[:, turn : turn + 1]
    return torch.stack([held & (turns >= turn - window), held, held & own, held & ~own])


class DialogXlNetwork(nn.Module):
    """XLNet with memory and four kinds of heads, and a perceptron on the state of the first token."""

    kinds: Tensor
    """Kind of each head, int64 (n_heads,): 0 local, 1 global, 2 self, 3 listener."""

    def __init__(
        self,
        encoder: Any,
        pad: int,
        heads: Sequence[int],
        window: int,
        n_slots: int,
        hidden: int,
        n_labels: int,
        dropout: float,
    ) -> None:
        """Builds it around an XLNet.

        Args:
            encoder: XLNet of transformers, whose number of heads is the sum of `heads`.
            pad: id of the token for padding.
            heads: number of local, global, self and listener heads, in this order.
            window: utterances that local heads see in the memory.
            n_slots: tokens that the memory holds at most.
            hidden: width of the three layers before the labels.
            n_labels: number of labels.
            dropout: after the first of them.
        """
        super().__init__()
        self.encoder, self.pad, self.window, self.n_slots = encoder, pad, window, n_slots
        self.register_buffer("kinds", torch.arange(4).repeat_interleave(torch.tensor(heads)), persistent=False)
        layers: list[nn.Module] = [nn.Linear(encoder.config.d_model, hidden), nn.ReLU(), nn.Dropout(dropout)]
        for _ in range(2):
            layers += [nn.Linear(hidden, hidden), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Linear(hidden, n_labels))

    def forward(self, passages: Sequence[Passage]) -> Tensor:
        """Returns logits float32 (n_utterances of all passages, n_labels), one passage after the other."""
        longest_first = sorted(range(len(passages)), key=lambda i: -len(passages[i].tokens))
        ordered = [passages[i] for i in longest_first]
        states = self._states(ordered)
        rank = {i: row for row, i in enumerate(longest_first)}
        rows = [states[turn][rank[i]] for i, passage in enumerate(passages) for turn in passage.answers]
        logits: Tensor = self.head(torch.stack(rows))
        return logits

    def _states(self, passages: Sequence[Passage]) -> list[Tensor]:
        """Returns the states of the first tokens at each turn, (n_dialogues that are as long, width).

        Args:
            passages: the longest first, so that those that still go on come first.
        """
        device = self.encoder.word_embedding.weight.device
        n_turns = len(passages[0].tokens)
        speakers = torch.full((len(passages), n_turns), -1)
        for row, passage in enumerate(passages):
            speakers[row, : len(passage.speakers)] = torch.tensor(passage.speakers)
        speakers = speakers.to(device)
        memory = Memory.empty(len(self.encoder.layer), len(passages), self.encoder.config.d_model, device)
        states = []
        for turn in range(n_turns):
            tokens = [passage.tokens[turn] for passage in passages if turn < len(passage.tokens)]
            ids, mask = pad_tokens(tokens, self.pad, device)
            memory = memory.of_first(len(ids))
            seen = visible_slots(memory.turns, speakers[: len(ids)], turn, self.window)
            state, inputs = self._read(ids, mask, memory, seen)
            memory = memory.with_turn(inputs, mask, turn, self.n_slots)
            states.append(state)
        return states

    def _read(self, ids: Tensor, mask: Tensor, memory: Memory, seen: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns the states of the first tokens, (batch, width), and what each layer got.

        Args:
            ids: of the tokens, int64 (batch, n_tokens).
            mask: bool (batch, n_tokens).
            memory: of the utterances before.
            seen: by kind of head, bool (4, batch, n_slots).
        """
        model: Any = self.encoder
        batch, n_tokens = ids.shape
        past = seen[self.kinds].permute(2, 1, 0)  # (n_slots, batch, n_heads)
        own = mask.t()[..., None].expand(-1, -1, past.shape[-1])
        hidden = (~torch.cat([past, own]))[None].to(model.dtype)  # alike for all tokens that look
        places = model.relative_positional_encoding(n_tokens, len(past) + n_tokens, bsz=batch)
        places, states = model.dropout(places.to(ids.device)), model.dropout(model.word_embedding(ids.t()))
        inputs = []
        for layer, held in zip(model.layer, memory.states, strict=True):
            inputs.append(states)
            states = layer(states, None, hidden, None, places, None, mems=held)[0]
        first: Tensor = model.dropout(states)[0]
        return first, inputs
