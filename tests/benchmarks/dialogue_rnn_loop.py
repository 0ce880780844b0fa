"""DialogueRNN as its equations read: one dialogue, one direction, one utterance and one party after the other.

It has no weights of its own, but computes with those of our network, so that gradients can be compared too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def loop_logits(network: Any, batch: Any) -> Tensor:
    """Returns logits, float32 (batch, n_utterances, n_labels), 0 where padded."""
    n_utterances = batch.speakers.shape[1]
    rows = []
    for i, n in enumerate(batch.lengths.tolist()):
        own = answer_dialogue(network, batch.text[i, :n], batch.speakers[i, :n].tolist())
        rows.append(torch.cat([own, own.new_zeros(n_utterances - n, own.shape[1])]))
    return torch.stack(rows)


def answer_dialogue(network: Any, text: Tensor, speakers: list[int]) -> Tensor:
    """Returns logits (n_utterances, n_labels)."""
    forward = emotion_states(network, 0, list(text), speakers)
    backward = emotion_states(network, 1, list(text.flip(0)), speakers[::-1])[::-1]
    states = network.dropout(torch.stack([torch.cat(pair) for pair in zip(forward, backward, strict=True)]))
    query, logits = network.attention.query, []
    for state in states:
        scores = torch.stack([torch.dot(query.weight @ state + query.bias, other) for other in states])
        attended = torch.softmax(scores, dim=0) @ states
        logits.append(network.head(attended))
    return torch.stack(logits)


def emotion_states(network: Any, way: int, utterances: list[Tensor], speakers: list[int]) -> list[Tensor]:
    """Returns the state of the emotion at each utterance, in one direction."""
    global_gru, speaker_gru = gru_of(network.world, way), gru_of(network.parties.speaker, way)
    listener_gru = gru_of(network.parties.listener, way) if network.parties.listener is not None else None
    query = network.query.weight.chunk(2)[way]
    emotion_gru = tuple((network.emotion.forwards, network.emotion.backwards)[way].parameters())
    drop = network.state_dropout
    parties = {speaker: utterances[0].new_zeros(network.party) for speaker in speakers}
    world, emotion = utterances[0].new_zeros(network.party), utterances[0].new_zeros(emotion_gru[1].shape[1])
    past: list[Tensor] = []
    states = []
    for u, speaker in zip(utterances, speakers, strict=True):
        context = torch.zeros_like(world)
        if past:
            weights = torch.softmax(torch.stack([torch.dot(query @ u, g) for g in past]), dim=0)
            context = sum((weight * g for weight, g in zip(weights, past, strict=True)), context)
        world = drop(step(global_gru, torch.cat([u, parties[speaker]]), world))
        said = drop(step(speaker_gru, torch.cat([u, context]), parties[speaker]))
        for party in parties:
            if party == speaker:
                parties[party] = said
            elif listener_gru is not None:
                parties[party] = drop(step(listener_gru, torch.cat([u, said]), parties[party]))
        past.append(world)
        emotion = step(emotion_gru, said, emotion)
        states.append(emotion)
    return states


def gru_of(cell: Any, way: int) -> tuple[Tensor, ...]:
    """Returns the weights of one direction of a cell as torch's GRU cell takes them."""
    known, bias = cell.of_known.chunk(2, dim=1)[way], cell.bias_input.chunk(2)[way]
    inputs = torch.cat([known, cell.of_states[way]]).T
    return inputs, cell.of_hidden[way].T, bias, cell.bias_hidden[way, 0]


def step(gru: tuple[Tensor, ...], inputs: Tensor, hidden: Tensor) -> Tensor:
    """Returns the next state of one GRU cell of torch."""
    return torch.gru_cell(inputs[None], hidden[None], *gru)[0]
