"""Network of RGAT."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.graph.windows import Windows
from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax

N_RELATIONS = 4
"""By order and speaker: past and same, past and other, future and same, future and other."""


class RgatNetwork(nn.Module):
    """A layer that narrows the features, relational graph attention, and two layers to the labels."""

    def __init__(
        self, width: int, hidden: int, n_heads: int, n_labels: int, dropout: float, past: int, future: int
    ) -> None:
        super().__init__()
        self.past, self.future = past, future
        self.first = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.attention = RelationalAttention(hidden, n_heads, past + 1 + future)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_labels),
        )

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        states = self.first(batch.text)
        around = self.attention(states, Windows.of(batch, self.past, self.future))
        logits: Tensor = self.head(torch.cat([states, around], dim=-1))
        return logits


class RelationalAttention(nn.Module):
    """Several heads of attention, with weights, scores of distances and a softmax of their own for every relation."""

    def __init__(self, hidden: int, n_heads: int, n_slots: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(N_RELATIONS, hidden, hidden))
        self.match = nn.Parameter(torch.empty(2, N_RELATIONS, n_heads, hidden // n_heads))
        self.distance = nn.Parameter(torch.zeros(2, n_slots))
        for relation in self.weight:
            nn.init.xavier_uniform_(relation)
        nn.init.normal_(self.match, std=self.match.shape[-1] ** -0.5)

    def forward(self, states: Tensor, windows: Windows) -> Tensor:
        """Returns float32 (batch, n_utterances, hidden).

        Args:
            states: float32 (batch, n_utterances, hidden).
            windows: of the batch.
        """
        weight = torch.unflatten(self.weight, 2, self.match.shape[2:])
        matched = torch.einsum("rwhd,srhd->srhw", weight, self.match).flatten(1, 2)
        listening, speaking = (states @ own.T for own in matched)
        scores = nn.functional.leaky_relu(listening[..., None] + windows.gather(speaking), 0.2)
        scores = torch.unflatten(scores, 2, (N_RELATIONS, -1)) + self.distance.repeat(2, 1)[:, None]
        weights = masked_softmax(scores, relations(windows)[:, :, :, None]).flatten(2, 3)
        mixed = torch.unflatten(weights @ windows.gather(states).transpose(2, 3), 2, (N_RELATIONS, -1))
        return torch.einsum("bnrhw,rwhd->bnhd", mixed, weight).flatten(2)


def relations(windows: Windows) -> Tensor:
    """Returns which edges are of which relation, bool (batch, n_utterances, N_RELATIONS, n_slots).

    An utterance is its own past. People beyond the ends of a dialogue are nobody's neighbours.
    """
    future, same = windows.distance > 0, windows.own == windows.others
    kinds = torch.stack([~future & same, ~future & ~same, future & same, future & ~same], dim=2)
    return kinds & windows.edges[:, :, None]
