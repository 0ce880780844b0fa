"""Network of CMN: one memory of the speaker of the target, and one of everybody else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.memory.histories import Histories, run_where
from baselines.memory.network import MemoryNetwork


class CmnNetwork(MemoryNetwork):
    """Every hop reads both memories, and adds what both say to the query."""

    def __init__(self, width: int, hidden: int, n_slots: int, n_hops: int, n_labels: int, dropout: float) -> None:
        super().__init__(width, hidden, n_slots, n_hops, n_labels, dropout)
        self.own_memory = nn.GRU(hidden, hidden, batch_first=True)
        self.other_memory = nn.GRU(hidden, hidden, batch_first=True)

    def ask(self, query: Tensor, own: Tensor, other: Tensor, histories: Histories) -> Tensor:
        """Returns the queries after the last hop."""
        memories = []
        for rnn, states, present in (
            (self.own_memory, own, histories.own),
            (self.other_memory, other, histories.other),
        ):
            memory = run_where(rnn, torch.tanh(states), present)
            memories.append((memory[histories.belongs], present[histories.belongs] & histories.before))
        for _ in range(self.n_hops):
            query = torch.tanh(query + sum(self.read(query, memory, mask) for memory, mask in memories))
        return query
