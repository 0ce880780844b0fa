"""Network of DialogueRNN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.recurrent.party_cells import (
    N_WAYS,
    AttentionOverDialogue,
    PartyCells,
    TwoWayGru,
    TwoWayGruCell,
    Ways,
    no_states,
    of_speaker,
    read_past,
    side_by_side,
)


class DialogueRnnNetwork(nn.Module):
    """A global state, a state for each party, and a state of the emotion, in both directions.

    Args:
        width: of the text features.
        party: width of global and party states.
        emotion: width of emotion states, per direction.
        n_labels: of the answer.
        dropout: of the emotion states, and of the layer before the labels.
        state_dropout: of global and party states as soon as they are computed: what is dropped is not remembered.
        listener: whether those who do not speak change their state too.
    """

    def __init__(
        self,
        width: int,
        party: int,
        emotion: int,
        n_labels: int,
        *,
        dropout: float,
        state_dropout: float,
        listener: bool,
    ) -> None:
        super().__init__()
        self.query = nn.Linear(width, N_WAYS * party, bias=False)
        self.world = TwoWayGruCell(width, party, party)
        self.parties = PartyCells(width, party, state_dropout, listener=listener)
        self.emotion = TwoWayGru(party, emotion)
        self.state_dropout = nn.Dropout(state_dropout)
        self.dropout = nn.Dropout(dropout)
        both = N_WAYS * emotion
        self.attention = AttentionOverDialogue(both)
        self.head = nn.Sequential(nn.Linear(both, both), nn.ReLU(), nn.Dropout(dropout), nn.Linear(both, n_labels))
        self.party = party

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        ways = Ways.of(batch)
        speakers = ways.put_together(self.speaker_states(batch, ways))
        emotions = side_by_side(self.emotion(speakers, batch.lengths))
        logits: Tensor = self.head(self.attention(self.dropout(emotions), batch.mask))
        return logits

    def speaker_states(self, batch: DialogueBatch, ways: Ways) -> list[Tensor]:
        """Returns the state of who speaks, just after speaking: by step, float32 (n_ways, batch, party)."""
        queries = ways.take_apart(self.query(batch.text))
        for_world = self.world.prepare(batch.text, ways)
        for_parties = self.parties.prepare(batch.text, batch.text, ways)
        parties, world = no_states(batch, batch.n_speakers, self.party), no_states(batch, self.party)
        past, states = no_states(batch, 0, self.party), []
        for step, speakers in enumerate(ways.speakers):
            context = read_past(queries[step], past)
            world = self.state_dropout(self.world(for_world[step], of_speaker(parties, speakers), world))
            speaker, parties = self.parties(for_parties[step], context, parties, speakers)
            past = torch.cat([past, world[:, :, None]], dim=2)
            states.append(speaker)
        return states
