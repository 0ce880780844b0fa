"""What both memory networks share: the query, the states of the two histories, reading of a memory, and the labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.memory.histories import Histories, run_where
from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax


class MemoryNetwork(nn.Module):
    """Asks the history of every utterance of a batch; what the memories are, and how they are asked, `ask` says.

    Features of several kinds are put one behind the other.
    """

    def __init__(self, width: int, hidden: int, n_slots: int, n_hops: int, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.n_slots, self.n_hops = n_slots, n_hops
        self.query = nn.Linear(width, hidden)
        self.own = nn.GRU(width, hidden, batch_first=True)
        self.other = nn.GRU(width, hidden, batch_first=True)
        self.head = nn.Linear(hidden, n_labels)
        self.dropout = nn.Dropout(dropout)

    def ask(self, query: Tensor, own: Tensor, other: Tensor, histories: Histories) -> Tensor:
        """Returns the queries after the last hop, float32 (n_targets, hidden).

        Args:
            query: float32 (n_targets, hidden).
            own: states at the slots where the speaker of the targets speaks, else 0, after dropout; float32
                (n_histories, n_slots, hidden).
            other: the same where somebody else does.
            histories: whose they are.
        """
        raise NotImplementedError

    def read(self, query: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Returns sum_k a_k M_k with a = softmax_k(tanh(q . M_k)), float32 (n_targets, hidden).

        Args:
            query: float32 (n_targets, hidden).
            memory: float32 (n_targets, n_slots, hidden).
            mask: bool (n_targets, n_slots): the slots that may be read; where there is none, the answer is 0.
        """
        scores = torch.tanh(torch.einsum("th,tsh->ts", query, memory))
        return torch.einsum("ts,tsh->th", self.dropout(masked_softmax(scores, mask)), memory)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        utterances = torch.cat(list(batch.features.values()), dim=-1)
        histories = Histories.of(batch, self.n_slots)
        slots = histories.gather(utterances)
        own = self.dropout(run_where(self.own, slots, histories.own))
        other = self.dropout(run_where(self.other, slots, histories.other))
        query = torch.tanh(self.query(utterances[batch.mask]))
        answers = self.head(self.ask(query, own, other, histories))
        logits: Tensor = answers.new_zeros(*batch.speakers.shape, answers.shape[-1])
        logits[batch.mask] = answers
        return logits
