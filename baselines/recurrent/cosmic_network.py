"""Network of COSMIC."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import SpeakerTurns
from baselines.neural.relations import Relation, relation_width, take_relations
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


class CosmicNetwork(nn.Module):
    """States of the dialogue, of each party inside and outside, of intent and of emotion, in both directions.

    Args:
        width: of the text features.
        knowledge: width of the knowledge, nine relations side by side; 0: there is none.
        utterance: width to which text features are brought.
        party: width of the states of the dialogue, of parties and of intent.
        emotion: width of emotion states, per direction.
        hidden: width of the layer before the labels.
        n_labels: of the answer.
        dropout: of the emotion states, and of the layer before the labels.
        state_dropout: of the states of the dialogue, of parties and of intent as soon as they are computed.
        listener: whether those who do not speak change their states too.
        attention: whether every emotion state attends to all others.

    Raises:
        DataError: the width is not that of nine relations.
    """

    def __init__(
        self,
        width: int,
        knowledge: int,
        utterance: int,
        party: int,
        emotion: int,
        hidden: int,
        n_labels: int,
        *,
        dropout: float,
        state_dropout: float,
        listener: bool,
        attention: bool,
    ) -> None:
        super().__init__()
        self.known = known = relation_width(knowledge)
        self.party = party
        self.utterance = nn.Linear(width, utterance)
        self.query = nn.Parameter(torch.empty(N_WAYS, 1, party).uniform_(-(party**-0.5), party**-0.5))
        self.world = TwoWayGruCell(utterance, 2 * party, party)
        self.outer = PartyCells(utterance + known, party, state_dropout, listener=listener)
        self.inner = PartyCells(known, party, state_dropout, listener=listener)
        self.intent = TwoWayGru(known + party, party)
        self.emotion = TwoWayGru(utterance + 3 * party, emotion)
        self.state_dropout = nn.Dropout(state_dropout)
        self.dropout = nn.Dropout(dropout)
        both = N_WAYS * emotion
        self.attention = AttentionOverDialogue(both) if attention else None
        self.head = nn.Sequential(nn.Linear(both, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_labels))

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        ways = Ways.of(batch)
        said = self.utterance(batch.text)
        outer, inner = (ways.put_together(own) for own in zip(*self._party_states(batch, said, ways), strict=True))
        heard = torch.cat([twice(said), inner, outer, self._intents(batch, inner)], dim=-1)
        emotions = self.dropout(side_by_side(self.emotion(heard, batch.lengths)))
        if self.attention is not None:
            emotions = self.attention(emotions, batch.mask)
        logits: Tensor = self.head(emotions)
        return logits

    def _party_states(self, batch: DialogueBatch, said: Tensor, ways: Ways) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields who speaks as seen from outside and from inside, (n_ways, batch, party) each, step by step."""
        shown = torch.cat([said, self._about(batch, "xReact")], dim=-1)
        seen = torch.cat([said, self._about(batch, "oReact")], dim=-1)
        for_world = self.world.prepare(said, ways)
        for_outer = self.outer.prepare(shown, seen, ways)
        for_inner = self.inner.prepare(self._about(batch, "xEffect"), self._about(batch, "oEffect"), ways)
        query = self.query.expand(-1, len(batch), -1)
        world, past = no_states(batch, self.party), no_states(batch, 0, self.party)
        all_outer = all_inner = no_states(batch, batch.n_speakers, self.party)
        for step, speakers in enumerate(ways.speakers):
            context = read_past(query, past)
            before = torch.cat([of_speaker(all_inner, speakers), of_speaker(all_outer, speakers)], dim=-1)
            world = self.state_dropout(self.world(for_world[step], before, world))
            outer, all_outer = self.outer(for_outer[step], context, all_outer, speakers)
            inner, all_inner = self.inner(for_inner[step], context, all_inner, speakers)
            past = torch.cat([past, world[:, :, None]], dim=2)
            yield outer, inner

    def _intents(self, batch: DialogueBatch, inner: Tensor) -> Tensor:
        """Returns the intent of each utterance, which depends on its speaker's turns only; shaped as `inner`."""
        turns = SpeakerTurns.of(batch)
        inputs = torch.cat([twice(self._about(batch, "xIntent")), inner], dim=-1)
        states = self.intent(torch.stack([turns.gather(own) for own in inputs]), turns.lengths)
        scattered = torch.stack([turns.scatter(own, batch.speakers) for own in states])
        intents: Tensor = self.state_dropout(scattered)
        return intents

    def _about(self, batch: DialogueBatch, relation: Relation) -> Tensor:
        """Returns the vectors of a relation, float32 (batch, n_utterances, width); of width 0 without knowledge."""
        if self.known == 0:
            return batch.text.new_zeros(*batch.speakers.shape, 0)
        return take_relations(batch.features["knowledge"], relation)


def twice(values: Tensor) -> Tensor:
    """Returns the same values for each way."""
    return values.expand(N_WAYS, *values.shape)
