"""Network of CoG-BART, and its three losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from baselines.transformers.batches import pad_tokens
from baselines.transformers.utterance_layer import UtteranceLayer

if TYPE_CHECKING:
    from baselines.transformers.cog_bart import Chunk

HIDDEN = 400
"""Width of the layer before the labels."""

NO_WORD = -100
"""Where the decoder has nothing to say; transformers leaves it out of the loss."""


class CogBartNetwork(nn.Module):
    """An encoder over words, a transformer layer over utterances, and a decoder that goes on with the dialogue.

    Args:
        bart: encoder and decoder of transformers, with the head for words.
        n_labels: of the label set.
        dropout: in the layer over utterances, and before the labels.
    """

    def __init__(self, bart: Any, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.bart = bart
        width = bart.config.hidden_size
        self.unit = UtteranceLayer(width, dropout)
        self.hidden = nn.Linear(width, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(HIDDEN, n_labels)

    def forward(self, chunks: Sequence[Chunk]) -> Tensor:
        """Returns logits, float32 (n_answers of all chunks, n_labels)."""
        logits: Tensor = self.head(self.features(self.encode(chunks), chunks))
        return logits

    def encode(self, chunks: Sequence[Chunk]) -> tuple[Tensor, Tensor]:
        """Returns states float32 (n_utterances, n_tokens, width) of the words, and where there are words, bool."""
        ids, mask = self._pad([tokens for chunk in chunks for tokens in chunk.tokens])
        states = self.bart.get_encoder()(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return states, mask

    def features(self, words: tuple[Tensor, Tensor], chunks: Sequence[Chunk]) -> Tensor:
        """Returns what the labels are told from, float32 (n_answers of all chunks, 400); dropout is drawn anew.

        Args:
            words: what `encode` returned.
            chunks: of which.
        """
        states, mask = words
        largest = states.masked_fill(~mask[..., None], torch.finfo(states.dtype).min).amax(dim=1)
        counts = [len(chunk.tokens) for chunk in chunks]
        answers, begin = [], 0
        for chunk, n in zip(chunks, counts, strict=True):
            answers += [begin + position - chunk.start for position in chunk.answers]
            begin += n
        return nn.functional.gelu(self.dropout(self.hidden(self.unit(largest, counts)[answers])))

    def generation_loss(self, words: tuple[Tensor, Tensor], chunks: Sequence[Chunk]) -> Tensor:
        """Returns the mean cross-entropy of the words of the next utterances, a scalar; 0 where there is none."""
        states, mask = words
        following = [tokens for chunk in chunks for tokens in chunk.following]
        asked = [i for i, tokens in enumerate(following) if tokens]
        if not asked:
            return states.new_zeros(())
        ids, spoken = self._pad([following[i] for i in asked])
        loss: Tensor = self.bart(
            encoder_outputs=(states[asked],), attention_mask=mask[asked].long(),
            labels=ids.masked_fill(~spoken, NO_WORD), use_cache=False,
        ).loss  # fmt: skip
        return loss

    def _pad(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        return pad_tokens(sequences, self.bart.config.pad_token_id, self.head.weight.device)


def contrast_labels(first: Tensor, second: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Returns the supervised contrastive loss of two views of some utterances, a scalar.

        L = - mean_i mean_{p: y_p = y_i, p != i} log( exp(f_i f_p / T) / sum_{a != i} exp(f_i f_a / T) )

    over i, p and a of both views; the other view of an utterance always has its label. Source: Khosla et al. 2020,
    "Supervised Contrastive Learning", equation 2; vectors as they are, not of length 1, as in CoG-BART's public code.

    Args:
        first: float32 (n, width).
        second: the same utterances under other dropout.
        labels: int64 (n,).
        temperature: T.
    """
    features, owners = torch.cat([first, second]), torch.cat([labels, labels])
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    scores = (features @ features.T / temperature).masked_fill(itself, torch.finfo(features.dtype).min)
    alike = (owners[:, None] == owners) & ~itself
    shares = torch.log_softmax(scores, dim=1).masked_fill(~alike, 0)
    return -(shares.sum(dim=1) / alike.sum(dim=1)).mean()
