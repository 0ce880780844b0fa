"""Network of ICON: one global memory, rewritten before every hop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.memory.histories import Histories, run_where
from baselines.memory.network import MemoryNetwork


class IconNetwork(MemoryNetwork):
    """The states of both histories are merged into one sequence; each hop runs over it anew, then reads it."""

    def __init__(self, width: int, hidden: int, n_slots: int, n_hops: int, n_labels: int, dropout: float) -> None:
        super().__init__(width, hidden, n_slots, n_hops, n_labels, dropout)
        self.whole = nn.GRU(hidden, hidden, batch_first=True)
        self.memory = nn.GRU(hidden, hidden, batch_first=True)

    def ask(self, query: Tensor, own: Tensor, other: Tensor, histories: Histories) -> Tensor:
        """Returns the queries after the last hop; one recurrent layer serves all hops but the first."""
        memory, filled = torch.tanh(own + other), histories.own | histories.other
        for hop in range(self.n_hops):
            memory = run_where(self.memory if hop else self.whole, memory, filled)
            query = torch.tanh(query + self.read(query, memory[histories.belongs], histories.before))
        return query
