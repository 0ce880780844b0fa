"""What stands on the state of a token. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from baselines.transformers.batches import pad_tokens
from baselines.transformers.passage import Passage


class FirstTokenClassifier(nn.Module):
    """An encoder over passages of one sequence, and the state of its first token turned into logits.

        y = W2 dropout(tanh(W1 dropout(h_1) + b1)) + b2

    Source: Devlin et al. 2019, section 3.2, with the layer before the labels that Liu et al. 2019 put in the place of
    the pooler.
    """

    def __init__(self, encoder: Any, pad: int, n_labels: int, dropout: float) -> None:
        """Builds a head around an encoder; its pooler, if it has one, is dropped, because nobody reads what it makes.

        Args:
            encoder: of transformers.
            pad: id of the token for padding.
            n_labels: number of labels.
            dropout: before each layer of the head.
        """
        super().__init__()
        self.encoder, self.pad = drop_pooler(encoder), pad
        width = encoder.config.hidden_size
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, n_labels)
        )

    def forward(self, passages: Sequence[Passage]) -> Tensor:
        """Returns logits float32 (n_passages, n_labels)."""
        device = next(self.parameters()).device
        ids, mask = pad_tokens([sequence for p in passages for sequence in p.tokens], self.pad, device)
        states = self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        logits: Tensor = self.head(states[:, 0])
        return logits


def drop_pooler(encoder: Any) -> Any:
    """Returns an encoder without the layer that some have on the state of the first token."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder
