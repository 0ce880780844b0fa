"""Network of DialogueCRN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax
from baselines.recurrent.levels import Levels


class Reasoning(nn.Module):
    """A query that reads a bank of states several times, an LSTM deciding what it asks for next.

    Args:
        width: of the states of the bank.
        n_steps: readings; 0: the query is returned as it came, and there are no weights.
    """

    def __init__(self, width: int, n_steps: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(2 * width, width) if n_steps else None
        self.n_steps = n_steps

    def forward(self, queries: Tensor, bank: Tensor, mask: Tensor) -> Tensor:
        """Returns float32 (batch, n_utterances, 2 * width).

        Args:
            queries: float32 (batch, n_utterances, 2 * width).
            bank: float32 (batch, n_utterances, width).
            mask: bool (batch, n_utterances): states of the bank that exist.
        """
        if self.cell is None:
            return queries
        state = None
        for _ in range(self.n_steps):
            state = self.cell(queries.flatten(0, 1), state)
            asked = state[0].view_as(bank)
            weights = masked_softmax(asked @ bank.transpose(1, 2), mask[:, None])
            queries = torch.cat([asked, weights @ bank], dim=-1)
        return queries


class DialogueCrnNetwork(nn.Module):
    """Perception at two levels, reasoning on each, the labels."""

    def __init__(
        self, width: int, hidden: int, n_layers: int, situation_steps: int, speaker_steps: int, n_labels: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.levels = Levels(width, hidden, n_layers, dropout)
        self.query = nn.Linear(2 * hidden, 4 * hidden)
        self.situation = Reasoning(2 * hidden, situation_steps)
        self.speaker = Reasoning(2 * hidden, speaker_steps)
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(8 * hidden, n_labels))

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        situation, speaker = self.levels(batch, batch.text)
        reasoned = [
            self.speaker(self.query(speaker), speaker, batch.mask),
            self.situation(self.query(situation), situation, batch.mask),
        ]
        logits: Tensor = self.head(torch.cat(reasoned, dim=-1))
        return logits
