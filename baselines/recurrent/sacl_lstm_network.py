"""Network of SACL-LSTM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.recurrent.levels import Levels


class SaclLstmNetwork(nn.Module):
    """States at two levels, and the labels from both; who speaks only once has none at the speaker level."""

    def __init__(self, width: int, hidden: int, n_layers: int, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.levels = Levels(width, hidden, n_layers, dropout, least_turns=2)
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * hidden, n_labels))

    def states(self, batch: DialogueBatch) -> Tensor:
        """Returns the states of both levels side by side, float32 (batch, n_utterances, 4 * hidden)."""
        return torch.cat(self.levels(batch, batch.text), dim=-1)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        logits: Tensor = self.head(self.states(batch))
        return logits
