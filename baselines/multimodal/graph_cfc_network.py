"""Network of GraphCFC: private and shared features, and graphs of two views that complement each other pair by pair."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, leaky_relu

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax, run_rnn
from harness.predictors.featured import Stream

ORDER: tuple[Stream, ...] = ("audio", "visual", "text")
"""In which modalities complement each other; those that are not given are left out."""


def number_relations(a: Tensor, b: Tensor) -> Tensor:
    """Returns int64 numbers of unordered pairs of speakers: (0, 0), (0, 1), (1, 1), (0, 2) and so on."""
    larger = torch.maximum(a, b)
    return larger * (larger + 1) // 2 + torch.minimum(a, b)


class GraphAttention(nn.Module):
    """GATv2 (Brody et al. 2022) over the utterances within a window, and between two views of an utterance.

        z_ij = W_t x_i + W_s x_j + W_r r_ij                a_ij = softmax_j(v . LeakyReLU(z_ij)), slope .2
        x'_i = mean over heads of sum_j a_ij W_s x_j, plus a bias

    j runs over the utterances of the same view, i itself included, with the relation of the two speakers; and over the
    same utterance in the other view, if there is one, with a relation of its own.
    """

    def __init__(self, hidden: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.target = nn.Linear(hidden, heads * hidden)
        self.source = nn.Linear(hidden, heads * hidden)
        self.relation = nn.Linear(hidden, heads * hidden, bias=False)
        self.vector = nn.Parameter(torch.empty(heads, hidden))
        self.bias = nn.Parameter(torch.zeros(hidden))
        nn.init.xavier_uniform_(self.vector)

    def forward(self, views: Tensor, relations: Tensor, speakers: Tensor, mask: Tensor) -> Tensor:
        """Returns float32 (n_views, batch, n_utterances, hidden).

        Targets are taken in spans as long as the window is wide, each with the sources that it can see: the cost is
        linear in the number of utterances.

        Args:
            views: float32 (n_views, batch, n_utterances, hidden); one or two views.
            relations: embeddings, float32 (n_relations, hidden); the last one joins two views.
            speakers: int64 (batch, n_utterances), numbers that the relations know.
            mask: bool (batch, n_utterances).
        """
        n, span = views.shape[2], 2 * self.window + 1
        targets, sources = self._by_head(self.target(views)), self._by_head(self.source(views))
        table = self.relation(relations)
        outputs = []
        for begin in range(0, n, span):
            here = slice(begin, min(n, begin + span))
            near = slice(max(0, begin - self.window), min(n, begin + span + self.window))
            kinds = number_relations(speakers[:, here, None], speakers[:, None, near])
            pairs = targets[:, :, here, None] + sources[:, :, None, near] + self._by_head(embedding(kinds, table))
            positions = torch.arange(n, device=views.device)
            seen = ((positions[here, None] - positions[near]).abs() <= self.window) & mask[:, None, near]
            scores, values = self._score(pairs), sources[:, :, near]
            if len(views) == 1:
                weights = masked_softmax(scores, seen[..., None], dim=3)
                outputs.append(torch.einsum("vbijh,vbjhc->vbihc", weights, values))
            else:
                others = sources.flip(0)[:, :, here]
                across = self._score(targets[:, :, here] + others + self._by_head(table[-1]))
                seen = nn.functional.pad(seen, (0, 1), value=True)
                weights = masked_softmax(torch.cat([scores, across[:, :, :, None]], dim=3), seen[..., None], dim=3)
                within = torch.einsum("vbijh,vbjhc->vbihc", weights[:, :, :, :-1], values)
                outputs.append(within + weights[:, :, :, -1, :, None] * others)
        return torch.cat(outputs, dim=2).mean(dim=3) + self.bias

    def _by_head(self, states: Tensor) -> Tensor:
        """Returns (..., heads, hidden) from (..., heads * hidden)."""
        return states.reshape(*states.shape[:-1], self.heads, -1)

    def _score(self, pairs: Tensor) -> Tensor:
        """Returns (..., heads) from (..., heads, hidden)."""
        return (leaky_relu(pairs, 0.2) * self.vector).sum(dim=-1)


def _feed_forward(hidden: int, dropout: float) -> nn.Sequential:
    inner = nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Dropout(dropout)
    return nn.Sequential(*inner, nn.Linear(2 * hidden, hidden), nn.Dropout(dropout))


class GatMlpLayer(nn.Module):
    """x = LN(x + GATv2(x)), then x = LN(x + FFN(x))."""

    def __init__(self, hidden: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        self.attention = GraphAttention(hidden, heads, window)
        self.feed_forward = _feed_forward(hidden, dropout)
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])

    def forward(self, views: Tensor, relations: Tensor, speakers: Tensor, mask: Tensor) -> Tensor:
        """Returns float32 (n_views, batch, n_utterances, hidden); arguments as of `GraphAttention`."""
        views = self.norms[0](views + self.attention(views, relations, speakers, mask))
        states: Tensor = self.norms[1](views + self.feed_forward(views))
        return states


class GatMlp(nn.Module):
    """Several of those layers, with weights of their own."""

    def __init__(self, n_layers: int, hidden: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GatMlpLayer(hidden, heads, window, dropout) for _ in range(n_layers))

    def forward(self, views: Tensor, relations: Tensor, speakers: Tensor, mask: Tensor) -> Tensor:
        """Returns float32 (n_views, batch, n_utterances, hidden); arguments as of `GraphAttention`."""
        for layer in self.layers:
            views = layer(views, relations, speakers, mask)
        return views


class GraphCfcNetwork(nn.Module):
    """Encoders, private and shared extractors, a stack of graph layers for each pair, and a head for each loss."""

    def __init__(
        self, widths: Mapping[Stream, int], hidden: int, n_layers: int, heads: int, window: int, n_labels: int,
        n_speakers: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.modalities = [name for name in ORDER if name in widths]
        self.n_speakers = n_speakers
        self.text_in = nn.Linear(widths["text"], 2 * hidden)
        self.lstm = nn.LSTM(2 * hidden, hidden, 2, batch_first=True, bidirectional=True, dropout=dropout)
        self.text_out = nn.Linear(2 * hidden, hidden)
        self.inputs = nn.ModuleDict({m: nn.Linear(widths[m], hidden) for m in self.modalities if m != "text"})
        self.speakers = nn.Embedding(n_speakers, hidden)
        self.relations = nn.Embedding(n_speakers * (n_speakers + 1) // 2 + self._several, hidden)
        self.private = nn.ModuleDict({m: self._extractor(hidden, dropout) for m in self.modalities})
        n_stacks = len(self.modalities) if self._several else 1
        self.stacks = nn.ModuleList(GatMlp(n_layers, hidden, heads, window, dropout) for _ in range(n_stacks))
        n_heads = len(self.modalities) + 1
        if self._several:
            self.shared = self._extractor(hidden, dropout)
            self.join = nn.Linear(len(self.modalities) * hidden, hidden)
            self.fusions = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in range(n_stacks))
            n_heads += 1
        self.heads = nn.ModuleList(nn.Linear(hidden, n_labels) for _ in range(n_heads))
        self.scales = nn.Parameter(torch.ones(n_heads))

    @property
    def _several(self) -> bool:
        return len(self.modalities) > 1

    @staticmethod
    def _extractor(hidden: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(_feed_forward(hidden, dropout), nn.LayerNorm(hidden))

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        return self.answer(batch)[-1]

    def answer(self, batch: DialogueBatch) -> list[Tensor]:
        """Returns logits of every head: of each modality by itself, of what they share, and last of all together."""
        speakers = batch.speakers.clamp(0, self.n_speakers - 1)
        encoded = [self._encode(modality, batch) + self.speakers(speakers) for modality in self.modalities]
        states = [self.private[m](own) for m, own in zip(self.modalities, encoded, strict=True)]
        if not self._several:
            whole = self.stacks[0](states[0][None], self.relations.weight, speakers, batch.mask)[0]
        else:
            states.append(self.join(torch.cat([self.shared(own) for own in encoded], dim=-1)))
            whole = states[0]
            for stack, fusion, other in zip(self.stacks, self.fusions, states[1:], strict=True):
                pair = stack(torch.stack([whole, other]), self.relations.weight, speakers, batch.mask)
                whole = fusion(torch.cat([pair[0], pair[1]], dim=-1))
        return [head(own) for head, own in zip(self.heads, [*states, whole], strict=True)]

    def weigh(self, losses: Tensor) -> Tensor:
        """Returns sum_k L_k / (2 s_k^2) + log(1 + s_k^2) with learned s, a scalar, from losses (n_heads,)."""
        squares = self.scales.pow(2)
        return (losses / (2 * squares) + torch.log1p(squares)).sum()

    def _encode(self, modality: Stream, batch: DialogueBatch) -> Tensor:
        features = batch.features[modality]
        if modality != "text":
            return torch.tanh(self.inputs[modality](features))
        states: Tensor = self.text_out(run_rnn(self.lstm, self.text_in(features), batch.lengths))
        return states
