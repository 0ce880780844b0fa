"""Network of DialogueGCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.graph.windows import Windows
from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax, run_rnn

N_POSITIONS = 110
"""Positions of a dialogue with edge weights of their own, as many as its code has; later ones share the last."""


class DialogueGcnNetwork(nn.Module):
    """A context encoder, two graph convolutions, attention over the dialogue, and the labels."""

    def __init__(
        self,
        width: int,
        hidden: int,
        n_bases: int,
        n_speakers: int,
        n_labels: int,
        dropout: float,
        past: int,
        future: int,
    ) -> None:
        super().__init__()
        self.past, self.future, self.n_speakers = past, future, n_speakers
        self.context = nn.LSTM(width, hidden, 2, batch_first=True, bidirectional=True, dropout=dropout)
        self.positions = nn.Linear(2 * hidden, N_POSITIONS, bias=False)
        self.relational = RelationalConvolution(2 * hidden, hidden, 2 * n_speakers**2, n_bases)
        self.around = nn.Linear(hidden, hidden)
        self.itself = nn.Linear(hidden, hidden, bias=False)
        self.match = nn.Linear(3 * hidden, 3 * hidden)
        nn.init.eye_(self.match.weight)
        self.head = nn.Sequential(
            nn.Linear(3 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_labels)
        )

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        windows = Windows.of(batch, self.past, self.future)
        states = run_rnn(self.context, batch.text, batch.lengths)
        around = windows.gather(states).contiguous()
        position = torch.arange(states.shape[1], device=states.device).clamp(max=N_POSITIONS - 1)
        scores = (self.positions.weight[position][:, None] @ around).squeeze(2)
        weights = masked_softmax(scores, windows.edges)
        first = self.relational(states, around, weights, self.relations(windows)) * batch.mask[..., None]
        second = self.around(windows.gather(first).sum(-1)) + self.itself(first)
        logits: Tensor = self.head(self.attend(torch.cat([states, second], dim=-1), batch.mask))
        return logits

    def relations(self, windows: Windows) -> Tensor:
        """Returns the relation of every edge, int64 (batch, n_utterances, n_slots), from 0 to 2 n_speakers^2 - 1."""
        own, others = (speakers.clamp(min=0) % self.n_speakers for speakers in (windows.own, windows.others))
        return (own * self.n_speakers + others) * 2 + (windows.distance > 0)

    def attend(self, states: Tensor, mask: Tensor) -> Tensor:
        """Returns states as means over those of their dialogue, weighted by similarity; shaped as they are."""
        scores = self.match(states) @ states.transpose(1, 2)
        return masked_softmax(scores, mask[:, None]) @ states


class RelationalConvolution(nn.Module):
    """A graph convolution with a matrix for every relation, each a combination of `n_bases` shared ones.

    Source: Schlichtkrull et al. 2018, "Modeling Relational Data with Graph Convolutional Networks", equation 3.
    """

    def __init__(self, width: int, hidden: int, n_relations: int, n_bases: int) -> None:
        super().__init__()
        self.bases = nn.Parameter(torch.empty(n_bases, width, hidden))
        self.coefficients = nn.Parameter(torch.empty(n_relations, n_bases))
        self.root = nn.Linear(width, hidden)
        nn.init.xavier_uniform_(self.coefficients)
        for basis in self.bases:
            nn.init.xavier_uniform_(basis)

    def forward(self, states: Tensor, around: Tensor, weights: Tensor, relations: Tensor) -> Tensor:
        """Returns float32 (batch, n_utterances, hidden).

        The states of a window are first added up for each basis, then multiplied by it: no relation gets a matrix.

        Args:
            states: float32 (batch, n_utterances, width).
            around: those in every window, float32 (batch, n_utterances, width, n_slots).
            weights: of the edges, float32 (batch, n_utterances, n_slots); 0 where there is none.
            relations: of the edges, int64 (batch, n_utterances, n_slots).
        """
        coefficients = nn.functional.embedding(relations, self.coefficients) * weights[..., None]
        mixed = coefficients.transpose(2, 3) @ around.transpose(2, 3)
        total: Tensor = mixed.flatten(2) @ self.bases.flatten(0, 1) + self.root(states)
        return total
