"""Networks of the contextual LSTMs."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import run_rnn


class ContextualLstm(nn.Module):
    """An LSTM over the dialogue, then a layer with ReLU unless it is left out, then the labels."""

    def __init__(
        self, width: int, hidden: int, n_layers: int, n_labels: int, dropout: float, *, bidirectional: bool, relu: bool
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            width, hidden, n_layers, batch_first=True, bidirectional=bidirectional,
            dropout=dropout if n_layers > 1 else 0.0,
        )  # fmt: skip
        states = hidden * (1 + bidirectional)
        before = [nn.Linear(states, hidden), nn.ReLU()] if relu else []
        self.head = nn.Sequential(*before, nn.Dropout(dropout), nn.Linear(hidden if relu else states, n_labels))

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        logits: Tensor = self.head(run_rnn(self.lstm, batch.text, batch.lengths))
        return logits
