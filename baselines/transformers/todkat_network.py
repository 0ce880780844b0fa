"""Network of TODKAT: a topic layer within an encoder, attention over knowledge, a layer over utterances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.neural.relations import RELATIONS
from baselines.transformers.batches import pad_tokens
from baselines.transformers.utterance_layer import UtteranceLayer
from harness.errors import ModelError

if TYPE_CHECKING:
    from baselines.transformers.todkat import InformedPassage

N_TOGETHER = 16
"""Texts that are padded to the same length."""


class TopicLayer(nn.Module):
    """A layer of an encoder, and behind it the latent topics of what is read: a normal distribution for each text.

        g = tanh(W_g h_1)    mean = W_m g    log variance = W_v g    z ~ N(mean, variance)    h_t <- h_t + W_z z

    where h_1 is the state of the first token, and t every token. Outside training z is the mean. W_z begins as 0, and
    with it the encoder as it was published.

    Args:
        layer: of the encoder.
        width: of its states.
        n_topics: width of z.
    """

    def __init__(self, layer: nn.Module, width: int, n_topics: int) -> None:
        super().__init__()
        self.layer = layer
        self.gather = nn.Linear(width, width)
        self.mean = nn.Linear(width, n_topics)
        self.log_variance = nn.Linear(width, n_topics)
        self.spread = nn.Linear(n_topics, width, bias=False)
        nn.init.zeros_(self.spread.weight)
        self.found: tuple[Tensor, Tensor, Tensor] | None = None
        """z, mean and log variance of the last texts, float32 (n_texts, n_topics) each."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the layer returns, with topics in its states."""
        returned = self.layer(*args, **kwargs)
        states = returned if isinstance(returned, Tensor) else returned[0]
        gathered = torch.tanh(self.gather(states[:, 0]))
        mean, log_variance = self.mean(gathered).float(), self.log_variance(gathered).float()
        topics = mean
        if self.training:
            topics = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        self.found = topics, mean, log_variance
        states = states + self.spread(topics)[:, None]
        return states if isinstance(returned, Tensor) else (states, *returned[1:])

    def divergence(self) -> Tensor:
        """Returns the Kullback-Leibler divergence of the last topics from N(0, 1), float32 (n_texts,), in nats."""
        assert self.found is not None
        _, mean, log_variance = self.found
        return ((mean**2 + torch.exp(log_variance) - log_variance - 1) / 2).sum(dim=-1)


def insert_topics(model: Any, n_topics: int) -> None:
    """Puts a topic layer behind the middle layer of an encoder, in the place of that layer.

    Raises:
        ModelError: the encoder has no list of its layers.
    """
    n_layers = model.config.num_hidden_layers
    found = [m for m in model.base_model.modules() if isinstance(m, nn.ModuleList) and len(m) == n_layers]
    if not found:
        raise ModelError(
            f"{type(model).__name__} has no list of {n_layers} layers to put topics between; give a BERT or RoBERTa"
        )
    middle = (n_layers - 1) // 2
    found[0][middle] = TopicLayer(found[0][middle], model.config.hidden_size, n_topics)


class KnowledgeAttention(nn.Module):
    """The nine relations of an utterance, each as much as it fits the utterance.

        k_r = tanh(W_k norm(c_r))    a = softmax_r( q k_r / sqrt(width) ), q = W_q x    c = sum_r a_r k_r

    Args:
        width: of k, and of the result.
        asking: width of x.
        relation: width of one relation's vector c_r.
    """

    def __init__(self, width: int, asking: int, relation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(relation)
        self.keys = nn.Linear(relation, width)
        self.query = nn.Linear(asking, width)

    def forward(self, asking: Tensor, knowledge: Tensor) -> Tensor:
        """Returns float32 (n_utterances, width).

        Args:
            asking: x, float32 (n_utterances, asking).
            knowledge: float32 (n_utterances, 9 * relation).
        """
        keys = torch.tanh(self.keys(self.norm(knowledge.view(len(knowledge), len(RELATIONS), -1))))
        scores = (keys @ self.query(asking)[..., None]).squeeze(-1) / keys.shape[-1] ** 0.5
        told: Tensor = (torch.softmax(scores, dim=-1)[:, None] @ keys).squeeze(1)
        return told


class TodkatNetwork(nn.Module):
    """An encoder with topics over each utterance, knowledge, a transformer layer over utterances, labels.

    Args:
        model: of transformers, an encoder with a head for masked words.
        n_topics: width of the topics.
        relation: width of one relation's vector; None: there is no knowledge.
        n_labels: of the label set.
        dropout: in the layer over utterances, and before the labels.
    """

    def __init__(self, model: Any, n_topics: int, relation: int | None, n_labels: int, dropout: float) -> None:
        super().__init__()
        width = model.config.hidden_size
        insert_topics(model, n_topics)
        self.model = model
        self.knowledge = None if relation is None else KnowledgeAttention(width, width + n_topics, relation)
        self.join = nn.Linear(width + n_topics + (0 if relation is None else width), width)
        self.unit = UtteranceLayer(width, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, n_labels)

    @property
    def topics(self) -> TopicLayer:
        """The topic layer within the encoder."""
        return next(module for module in self.model.modules() if isinstance(module, TopicLayer))

    def forward(self, passages: Sequence[InformedPassage]) -> Tensor:
        """Returns logits, float32 (n_answers of all passages, n_labels)."""
        known = self.understand([tokens for passage in passages for tokens in passage.tokens])
        if self.knowledge is not None:
            rows = torch.from_numpy(np.concatenate([passage.knowledge for passage in passages])).to(known.device)
            known = torch.cat([known, self.knowledge(known, rows)], dim=-1)
        counts = [len(passage.tokens) for passage in passages]
        states = self.unit(self.join(known), counts)
        starts = np.cumsum([0, *counts[:-1]]).tolist()
        answers = [start + i for start, passage in zip(starts, passages, strict=True) for i in passage.answers]
        logits: Tensor = self.head(self.dropout(states[answers]))
        return logits

    def understand(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Returns the state of the first token and the topics of each text, float32 (n_texts, width + n_topics).

        Texts of similar length are read together: in a dialogue, the longest is some three times as long as the others.
        """
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
        groups = []
        for start in range(0, len(order), N_TOGETHER):
            ids, mask = self.pad([sequences[i] for i in order[start : start + N_TOGETHER]])
            read = self.model.base_model(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, 0]
            found = self.topics.found
            assert found is not None
            groups.append(torch.cat([read, found[0]], dim=-1))
        return torch.cat(groups)[np.argsort(order)]

    def masked_loss(self, ids: Tensor, mask: Tensor, hidden: Tensor, words: Tensor) -> Tensor:
        """Returns the negative evidence lower bound of hidden words, for one of them, a scalar in nats.

        Args:
            ids: int64 (n_texts, n_tokens), what is read.
            mask: bool, True at tokens.
            hidden: bool, True where a word is to be found.
            words: int64 (n_hidden,), which.
        """
        logits = self.model(input_ids=ids, attention_mask=mask.long()).logits[hidden]
        missed = nn.functional.cross_entropy(logits, words, reduction="sum")
        return (missed + self.topics.divergence().sum()) / len(words)

    def pad(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Returns (ids, mask) as `pad_tokens`, where the weights are."""
        return pad_tokens(sequences, self.model.config.pad_token_id, self.head.weight.device)
