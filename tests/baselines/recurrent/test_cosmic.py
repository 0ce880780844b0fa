"""COSMIC against its equations, one utterance and one party after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from dialogue_rnn_loop import gru_of, step  # noqa: E402
from torch import Tensor  # noqa: E402

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.recurrent.cosmic import Cosmic, CosmicNoKb  # noqa: E402
from harness.errors import ConfigError, DataError  # noqa: E402
from harness.predictors import PREDICTORS  # noqa: E402
from harness.predictors.plugins import load_plugins  # noqa: E402

RELATIONS = ["xIntent", "xAttr", "xNeed", "xWant", "xEffect", "xReact", "oWant", "oEffect", "oReact"]


def emotion_states(network: Any, way: int, text: Tensor, knowledge: Tensor, speakers: list[int]) -> list[Tensor]:
    """States of the emotion at each utterance, in the order in which they are read."""
    cells = (network.world, network.outer.speaker, network.inner.speaker)
    world_gru, outer_gru, inner_gru = (gru_of(cell, way) for cell in cells)
    intent_gru, emotion_gru = (
        tuple((gru.forwards, gru.backwards)[way].parameters()) for gru in (network.intent, network.emotion)
    )
    zero = text.new_zeros(network.party)
    outer, inner, intent = (dict.fromkeys(speakers, zero) for _ in range(3))
    world, emotion, past, states = zero, text.new_zeros(emotion_gru[1].shape[1]), [], []
    for features, vectors, s in zip(text, knowledge, speakers, strict=True):
        u = network.utterance(features)
        about = dict(zip(RELATIONS, vectors.chunk(9) if len(vectors) else [vectors] * 9, strict=True))
        context = zero
        if past:
            weights = torch.softmax(torch.stack([torch.dot(network.query[way, 0], g) for g in past]), dim=0)
            context = sum(weight * g for weight, g in zip(weights, past, strict=True))
        world = step(world_gru, torch.cat([u, inner[s], outer[s]]), world)
        past.append(world)
        outer[s] = step(outer_gru, torch.cat([u, about["xReact"], context]), outer[s])
        inner[s] = step(inner_gru, torch.cat([about["xEffect"], context]), inner[s])
        intent[s] = step(intent_gru, torch.cat([about["xIntent"], inner[s]]), intent[s])
        for listener in set(speakers) - {s}:
            if network.outer.listener is not None:
                heard = torch.cat([u, about["oReact"], outer[s]])
                outer[listener] = step(gru_of(network.outer.listener, way), heard, outer[listener])
                heard = torch.cat([about["oEffect"], inner[s]])
                inner[listener] = step(gru_of(network.inner.listener, way), heard, inner[listener])
        emotion = step(emotion_gru, torch.cat([u, inner[s], outer[s], intent[s]]), emotion)
        states.append(emotion)
    return states


def answer_dialogue(network: Any, text: Tensor, knowledge: Tensor, speakers: list[int]) -> Tensor:
    """Logits (n_utterances, n_labels)."""
    forward = emotion_states(network, 0, text, knowledge, speakers)
    backward = emotion_states(network, 1, text.flip(0), knowledge.flip(0), speakers[::-1])[::-1]
    states = torch.stack([torch.cat(pair) for pair in zip(forward, backward, strict=True)])
    if network.attention is not None:
        states = torch.softmax(network.attention.query(states) @ states.T, dim=1) @ states
    logits: Tensor = network.head(states)
    return logits


@pytest.mark.parametrize("knowledge", [18, 0])
@pytest.mark.parametrize("whole", [True, False])
def test_logits_and_gradients_follow_from_the_equations(
    knowledge: int, whole: bool, random_dialogues: Callable[..., list[Any]]
) -> None:
    torch.manual_seed(0)
    widths = {"text": 6, "knowledge": knowledge} if knowledge else {"text": 6}
    batch = make_batch(random_dialogues(widths, 5), extra=2)
    system = CosmicNoKb(utterance=3, party=4, emotion=5, hidden=6, listener=whole, attention=whole)
    network: Any = system.build(Dimensions(widths, 5, 2)).eval()
    known = batch.features.get("knowledge", batch.text[..., :0])
    found, expected, shares = network(batch), [], []
    for i, n in enumerate(batch.lengths.tolist()):
        expected.append(answer_dialogue(network, batch.text[i, :n], known[i, :n], batch.speakers[i, :n].tolist()))
        torch.testing.assert_close(found[i, :n], expected[i], atol=1e-5, rtol=0)
        direction = torch.randn_like(expected[i])
        shares.append(((found[i, :n] * direction).sum(), (expected[i] * direction).sum()))
    weights = {name: weight for name, weight in network.named_parameters() if weight.numel()}
    ours, theirs = (torch.autograd.grad(sum(own), list(weights.values())) for own in zip(*shares, strict=True))
    for name, a, b in zip(weights, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
        assert b.any(), f"{name} makes no difference"


def test_it_does_not_run_without_knowledge() -> None:
    with pytest.raises(ConfigError, match=r"'knowledge': got None, .* -P knowledge=file:FILE; 'cosmic-no-kb' is"):
        Cosmic()
    with pytest.raises(DataError, match="knowledge: 20 numbers an utterance, expected 9 vectors"):
        Cosmic(knowledge="file:comet.npz").build(Dimensions({"text": 4, "knowledge": 20}, 5, 2))


def test_the_variant_says_that_it_is_one() -> None:
    load_plugins()
    assert "variant of COSMIC that reads no commonsense knowledge" in PREDICTORS.get("cosmic-no-kb").card.summary


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'utterance': got 0"):
        CosmicNoKb(utterance=0)
    with pytest.raises(ConfigError, match="'state_dropout': got 1"):
        CosmicNoKb(state_dropout=1.0)
