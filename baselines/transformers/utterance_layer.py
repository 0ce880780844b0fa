"""A transformer layer over the utterances of a passage. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

N_HEADS = 8


class UtteranceLayer(nn.Module):
    """One encoder layer of a transformer, eight heads, through which the utterances of a passage see each other.

    Vaswani et al. 2017, with the norms behind the sums. The passages of a batch do not see each other: the batch is the
    first axis, which the public code of TODKAT and of CoG-BART takes for the utterances.

    Args:
        width: of an utterance's vector, a multiple of 8.
        dropout: of attention, of both sums, and in the feed-forward part, which is 2048 wide.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(width, N_HEADS, dropout=dropout, activation="gelu", batch_first=True)

    def forward(self, vectors: Tensor, counts: Sequence[int]) -> Tensor:
        """Returns float32 (n_utterances, width).

        Args:
            vectors: of the utterances of all passages, one passage after the other, float32 (n_utterances, width).
            counts: how many of them each passage has, at least one.
        """
        padded = pad_sequence(list(torch.split(vectors, list(counts))), batch_first=True)
        lengths = torch.tensor(counts, device=vectors.device)
        mask = torch.arange(padded.shape[1], device=vectors.device) < lengths[:, None]
        states: Tensor = self.layer(padded, src_key_padding_mask=~mask)
        return states[mask]
