"""Network of CauAIN, with and without commonsense knowledge."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax, run_rnn
from baselines.neural.relations import take_relations

ATTENTION_DROPOUT = 0.1


class CauseClues(nn.Module):
    """What commonsense says of each utterance: of the one who speaks, and of those who listen.

    Args:
        relation_width: of the vector of one relation.
        width: of what is returned.
    """

    def __init__(self, relation_width: int, width: int) -> None:
        super().__init__()
        self.of_speaker = nn.Linear(3 * relation_width, width)
        self.of_others = nn.Linear(3 * relation_width, width)
        self.shared = nn.Linear(width, width)

    def forward(self, knowledge: Tensor) -> tuple[Tensor, Tensor]:
        """Returns both, float32 (batch, n_utterances, width) each, from (batch, n_utterances, 9 * relation_width)."""
        speaker = self.of_speaker(take_relations(knowledge, "xWant", "xEffect", "xReact"))
        others = self.of_others(take_relations(knowledge, "oWant", "oEffect", "oReact"))
        return self.shared(speaker), self.shared(others)


class CauainNetwork(nn.Module):
    """A BiGRU over the dialogue, attention to causes in what was said so far, the labels.

    Args:
        width: of the text features.
        relation_width: of the vector of one relation; None: without knowledge.
        hidden: states per direction; attention is twice as wide.
        n_labels: number of labels.
        dropout: before the layers that end in the labels.
    """

    def __init__(self, width: int, relation_width: int | None, hidden: int, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.narrow = nn.Linear(width, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.query, self.key, self.value = (nn.Linear(2 * hidden, 2 * hidden) for _ in range(3))
        self.clues = None if relation_width is None else CauseClues(relation_width, 2 * hidden)
        self.attention_dropout = nn.Dropout(ATTENTION_DROPOUT)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(4 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, n_labels),
        )  # fmt: skip

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        states = run_rnn(self.gru, self.narrow(batch.text), batch.lengths)
        query, key, value = self.query(states), self.key(states), self.value(states)
        own, other = (key, value), (key, value)
        if self.clues is not None:
            of_speaker, of_others = self.clues(batch.features["knowledge"])
            own, other = (key + of_speaker, value + of_speaker), (key + of_others, value + of_others)
        same = batch.speakers[:, :, None] == batch.speakers[:, None]
        past = torch.ones_like(same).tril() & batch.mask[:, None]
        nearness = torch.where(same, query @ own[0].transpose(1, 2), query @ other[0].transpose(1, 2))
        weights = self.attention_dropout(masked_softmax(nearness / math.sqrt(self.hidden), past))
        effect = (weights * same) @ own[1] + (weights * ~same) @ other[1]
        cause = weights @ query
        logits: Tensor = self.head(torch.cat([effect, cause], dim=-1))
        return logits
