"""Network of DAG-ERC."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax


class DagErcNetwork(nn.Module):
    """Layers over the directed acyclic graph of a dialogue, whose states all go to the labels."""

    def __init__(self, width: int, hidden: int, n_layers: int, n_labels: int, dropout: float, omega: int) -> None:
        super().__init__()
        self.omega = omega
        self.first = nn.Linear(width, hidden)
        self.layers = nn.ModuleList(DagLayer(hidden) for _ in range(n_layers))
        self.head = nn.Sequential(
            nn.Linear(hidden * (n_layers + 1) + width, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(hidden, n_labels),
        )  # fmt: skip

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        same = batch.speakers[:, :, None] == batch.speakers[:, None]
        edges = predecessors(batch, self.omega)
        states = [torch.relu(self.first(batch.text))]
        for layer in self.layers:
            states.append(layer(states[-1], edges, same))
        logits: Tensor = self.head(torch.cat([*states, batch.text], dim=-1))
        return logits


def predecessors(batch: DialogueBatch, omega: int) -> Tensor:
    """Returns the edges of the graph, bool (batch, n_utterances, n_utterances): True at (i, j) where i listens to j.

    Utterance i listens to the ones before it, back to the omega-th of the same speaker; to all if there are fewer.
    """
    n = batch.speakers.shape[1]
    before = torch.ones(n, n, dtype=torch.bool, device=batch.speakers.device).tril(-1)
    same = (batch.speakers[:, :, None] == batch.speakers[:, None]) & before
    later = same.sum(-1, keepdim=True) - same.cumsum(-1)  # turns of the speaker of i that lie between j and i
    return before & (later < omega) & batch.mask[:, :, None]


class DagLayer(nn.Module):
    """One pass through a dialogue, in order: an utterance gathers what this layer says of its predecessors."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.attention = nn.Linear(2 * hidden, 1)
        self.same = nn.Linear(hidden, hidden, bias=False)
        self.other = nn.Linear(hidden, hidden, bias=False)
        self.state_cell = nn.GRUCell(hidden, hidden)
        self.message_cell = nn.GRUCell(hidden, hidden)

    def forward(self, states: Tensor, edges: Tensor, same: Tensor) -> Tensor:
        """Returns states of this layer, float32 (batch, n_utterances, hidden).

        What does not depend on this layer's own states is computed for all utterances at once.

        Args:
            states: of the layer below, float32 (batch, n_utterances, hidden).
            edges: bool (batch, n_utterances, n_utterances): who listens to whom, in order.
            same: bool, shaped alike: whether both are of one speaker.
        """
        of_listener, of_speaker = self.attention.weight[0].chunk(2)
        scores = (states @ of_listener + self.attention.bias).unbind(1)
        above, below = self.state_cell, self.message_cell
        weight = torch.cat([above.weight_ih, below.weight_hh])
        gates = nn.functional.linear(states, weight, torch.cat([above.bias_ih, below.bias_hh])).unbind(1)
        message_weight = torch.cat([above.weight_hh, below.weight_ih])
        message_bias = torch.cat([above.bias_hh, below.bias_ih])
        kinds = torch.cat([self.same.weight, self.other.weight], dim=1)
        by_kind = torch.stack([edges & same, edges & ~same], dim=2)
        done: list[Tensor] = []
        for i, (start, state) in enumerate(zip(earliest(edges), states.unbind(1), strict=True)):
            message = torch.zeros_like(state)
            if start < i:
                heard = torch.stack(done[start:i], dim=1)
                weights = masked_softmax(scores[i][:, None] + heard @ of_speaker, edges[:, i, start:i])
                sums = (weights[:, None] * by_kind[:, i, :, start:i]) @ heard
                message = nn.functional.linear(sums.flatten(1), kinds)
            message_gates = nn.functional.linear(message, message_weight, message_bias)
            done.append(run_cells(state, gates[i], message, message_gates))
        return torch.stack(done, dim=1)


def earliest(edges: Tensor) -> list[int]:
    """Returns the first utterance that the i-th one of any dialogue listens to, for each i; n_utterances if to none."""
    first = torch.where(edges.any(-1), edges.int().argmax(-1), edges.shape[-1])
    starts: list[int] = first.amin(0).tolist()
    return starts


def run_cells(state: Tensor, state_gates: Tensor, message: Tensor, message_gates: Tensor) -> Tensor:
    """Returns the sum of two GRU cells, float32 (batch, hidden).

    One reads the state and has the message as its memory, the other reads the message and has the state.

    Args:
        state: float32 (batch, hidden).
        state_gates: products of the state, float32 (batch, 6 * hidden): reset, update and new of either cell.
        message: float32 (batch, hidden).
        message_gates: those of the message.
    """
    x, m = (torch.unflatten(gates, 1, (2, 3, -1)) for gates in (state_gates, message_gates))
    reset, update = torch.sigmoid(x[:, :, :2] + m[:, :, :2]).unbind(2)
    new_state = torch.tanh(x[:, 0, 2] + reset[:, 0] * m[:, 0, 2])
    new_message = torch.tanh(m[:, 1, 2] + reset[:, 1] * x[:, 1, 2])
    return torch.lerp(new_state, message, update[:, 0]) + torch.lerp(new_message, state, update[:, 1])
