"""Networks of the contextual LSTMs."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import run_rnn


class ContextualLstm(nn.Module):
    """An LSTM over the dialogue, then a layer with ReLU, then the labels."""

    def __init__(
        self, width: int, hidden: int, n_layers: int, n_labels: int, dropout: float, *, bidirectional: bool
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            width, hidden, n_layers, batch_first=True, bidirectional=bidirectional,
            dropout=dropout if n_layers > 1 else 0.0,
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Linear(hidden * (1 + bidirectional), hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_labels)
        )

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        states: Tensor = run_rnn(self.lstm, batch.text, batch.lengths)
        logits: Tensor = self.head(states)
        return logits
