"""COIN against its equations, one utterance and one party after the other, and its perturbation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.recurrent.coin import Coin  # noqa: E402
from baselines.recurrent.coin_network import perturb, with_gradients  # noqa: E402
from harness.errors import ConfigError  # noqa: E402
from harness.predictors import PREDICTORS  # noqa: E402
from harness.predictors.build import build_predictor  # noqa: E402
from harness.predictors.plugins import load_plugins  # noqa: E402

WIDTHS = {"text": 6, "audio": 3, "visual": 2}

Draw = Callable[..., list[Any]]


def make(**params: Any) -> Coin:
    return Coin(audio="file:a.npz", visual="file:v.npz", hidden=4, dropout=0.0, **params)


def answer_dialogue(network: Any, features: Tensor, speakers: list[int]) -> Tensor:
    """Logits (n_utterances, n_labels)."""

    def run(cell: Any, inputs: Tensor, state: Tensor) -> Tensor:
        return torch.gru_cell(inputs[None], state[None], *cell.parameters())[0]

    zero = features.new_zeros(4)
    said, heard = dict.fromkeys(speakers, zero), dict.fromkeys(speakers, zero)
    states = []
    for row, s in zip(features, speakers, strict=True):
        u = torch.tanh(network.fuse(row))
        own = run(network.said, torch.cat([u, heard[s]]), said[s])
        for other in said.keys() - {s}:
            heard[other] = run(network.heard, torch.cat([u, said[other]]), heard[other])
        said[s] = own
        states.append(torch.tanh(own + heard[s]))
    for layer in network.dialogue:
        state, higher = zero, []
        for below in states:
            state = run(layer, below, state)
            higher.append(below + state)
        states = higher
    logits = []
    for t, h in enumerate(states):
        scores = torch.stack([torch.dot(network.query(h), network.key(earlier)) / 2 for earlier in states[: t + 1]])
        z = torch.softmax(scores, dim=0) @ torch.stack([network.value(earlier) for earlier in states[: t + 1]])
        logits.append(network.head(torch.cat([h, z])))
    return torch.stack(logits)


def test_logits_and_gradients_follow_from_the_equations(random_dialogues: Draw) -> None:
    torch.manual_seed(0)
    batch = make_batch(random_dialogues(WIDTHS, 5), extra=2)
    network: Any = make().build(Dimensions(WIDTHS, 5, 2)).eval()
    features = torch.cat([batch.features[stream] for stream in ("text", "audio", "visual")], dim=-1)
    found, expected, shares = network(batch), [], []
    for i, n in enumerate(batch.lengths.tolist()):
        expected.append(answer_dialogue(network, features[i, :n], batch.speakers[i, :n].tolist()))
        torch.testing.assert_close(found[i, :n], expected[i], atol=1e-5, rtol=0)
        direction = torch.randn_like(expected[i])
        shares.append(((found[i, :n] * direction).sum(), (expected[i] * direction).sum()))
    weights = dict(network.named_parameters())
    ours, theirs = (torch.autograd.grad(sum(own), list(weights.values())) for own in zip(*shares, strict=True))
    for name, a, b in zip(weights, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


def test_every_utterance_moves_by_epsilon_where_the_loss_grows(random_dialogues: Draw) -> None:
    torch.manual_seed(0)
    system = make(epsilon=0.05)
    network = system.build(Dimensions(WIDTHS, 7, 2))
    batch = with_gradients(make_batch(random_dialogues(WIDTHS), extra=2))
    loss = system.loss(network, batch, None)
    loss.backward()
    moved = perturb(batch, 0.05)
    heard = {stream: moved.features[stream] - batch.features[stream].detach() for stream in WIDTHS}
    for step in heard.values():
        lengths = step.norm(dim=-1)
        assert (lengths[~batch.mask] == 0).all()
        torch.testing.assert_close(lengths[lengths > 0], torch.full_like(lengths[lengths > 0], 0.05))
    assert system.loss(network, moved, None) > loss


def test_both_passes_leave_their_gradients(random_dialogues: Draw) -> None:
    torch.manual_seed(0)
    system = make(epsilon=0.5, adversarial=0.3)
    network = system.build(Dimensions(WIDTHS, 7, 2))
    batch = make_batch(random_dialogues(WIDTHS))
    value = system.backward(network, batch, None)
    found = [own.grad.clone() for own in network.parameters()]
    tracked = with_gradients(batch)
    clean = system.loss(network, tracked, None)
    clean.backward(retain_graph=True)
    total = clean + 0.3 * system.loss(network, perturb(tracked, 0.5), None)
    assert value == pytest.approx(float(total.detach()))
    for ours, theirs in zip(found, torch.autograd.grad(total, list(network.parameters())), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_card_names_what_is_read() -> None:
    load_plugins()
    spec = PREDICTORS.get("coin")
    assert "reconstructed" in spec.card.source
    assert spec.build.refine_card(spec.card, {"encoder": "minilm"}).modalities == ("text",)
    given = {"encoder": "minilm", "audio": "file:a.npz", "visual": "file:v.npz"}
    assert spec.build.refine_card(spec.card, given).modalities == ("text", "audio", "visual")
    assert isinstance(build_predictor(spec, given, seed=0), Coin)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'epsilon': got 0"):
        Coin(epsilon=0)
