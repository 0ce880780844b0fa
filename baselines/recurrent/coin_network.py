"""Network of COIN, and the perturbation of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from baselines.neural.batch import DialogueBatch
from baselines.neural.layers import masked_softmax, run_rnn
from baselines.recurrent.party_cells import of_speaker, with_speaker
from harness.predictors.featured import Stream


class CoinNetwork(nn.Module):
    """What each party said and heard, then the dialogue, then attention to all that was said so far.

    Args:
        widths: of the features by kind.
        hidden: width of every layer.
        n_layers: of recurrent layers over the dialogue.
        n_labels: of the answer.
        dropout: of fused features, between layers over the dialogue, and of the layer before the labels.
    """

    def __init__(self, widths: Mapping[Stream, int], hidden: int, n_layers: int, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.streams = tuple(widths)
        self.fuse = nn.Linear(sum(widths.values()), hidden)
        self.said = nn.GRUCell(2 * hidden, hidden)
        self.heard = nn.GRUCell(2 * hidden, hidden)
        self.dialogue = nn.ModuleList(nn.GRU(hidden, hidden, batch_first=True) for _ in range(n_layers))
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_labels)
        )

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Returns logits, float32 (batch, n_utterances, n_labels)."""
        features = torch.cat([batch.features[stream] for stream in self.streams], dim=-1)
        states = self.interact(batch, self.dropout(torch.tanh(self.fuse(features))))
        for layer in self.dialogue:
            assert isinstance(layer, nn.GRU)
            states = states + self.dropout(run_rnn(layer, states, batch.lengths))
        logits: Tensor = self.head(torch.cat([states, self.attend(states)], dim=-1))
        return logits

    def interact(self, batch: DialogueBatch, utterances: Tensor) -> Tensor:
        """Returns what who speaks has said and heard by then, float32 (batch, n_utterances, hidden).

        Args:
            batch: who speaks.
            utterances: float32 (batch, n_utterances, hidden).
        """
        said = heard = utterances.new_zeros(len(batch), batch.n_speakers, utterances.shape[-1])
        states = []
        for utterance, speakers in zip(utterances.unbind(1), batch.speakers.clamp(min=0).unbind(1), strict=True):
            known = of_speaker(heard, speakers)
            own = self.said(torch.cat([utterance, known], dim=-1), of_speaker(said, speakers))
            inputs = torch.cat([utterance[:, None].expand_as(said), said], dim=-1)
            heard = self.heard(inputs.flatten(0, 1), heard.flatten(0, 1)).view_as(heard)
            heard = with_speaker(heard, speakers, known)
            said = with_speaker(said, speakers, own)
            states.append(torch.tanh(own + known))
        return torch.stack(states, dim=1)

    def attend(self, states: Tensor) -> Tensor:
        """Returns what each utterance attends to, itself and earlier ones, shaped as the states."""
        scores = self.query(states) @ self.key(states).transpose(1, 2) / states.shape[-1] ** 0.5
        earlier = torch.ones_like(scores[0], dtype=torch.bool).tril()
        attended: Tensor = masked_softmax(scores, earlier) @ self.value(states)
        return attended


def with_gradients(batch: DialogueBatch) -> DialogueBatch:
    """Returns the batch with features that collect gradients."""
    return replace(batch, features={stream: own.detach().requires_grad_() for stream, own in batch.features.items()})


def perturb(batch: DialogueBatch, epsilon: float) -> DialogueBatch:
    """Returns the batch with the features of each utterance moved along their gradients, by epsilon for each kind.

    Args:
        batch: with features that have collected gradients.
        epsilon: Euclidean length of the move, in standard deviations of a feature.
    """
    moved = {
        stream: own.detach() + epsilon * normalize(own.grad, dim=-1)
        for stream, own in batch.features.items()
        if own.grad is not None
    }
    return replace(batch, features=moved)
