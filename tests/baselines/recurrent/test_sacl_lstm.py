"""SACL-LSTM: logits against a loop, NT-Xent against all pairs, and what an attack on weights leaves behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.recurrent.objectives import contrast_loss, focal_loss  # noqa: E402
from baselines.recurrent.sacl_lstm import SaclLstm  # noqa: E402
from baselines.recurrent.weight_attack import attacked  # noqa: E402
from harness.errors import ConfigError  # noqa: E402

Draw = Callable[..., list[Any]]


def build(system: SaclLstm) -> Any:
    torch.manual_seed(0)
    return system.build(Dimensions({"text": 4}, 7, 9))


@pytest.mark.parametrize("layers", [1, 2])
def test_logits_and_gradients_follow_from_the_equations(
    layers: int, random_dialogues: Draw, levels_loop: Callable[..., Any]
) -> None:
    network = build(SaclLstm(hidden=3, layers=layers)).eval()
    dialogues = random_dialogues({"text": 4})
    batch = make_batch(dialogues)
    expected = []
    for dialogue in dialogues:
        text, speakers = torch.from_numpy(dialogue.features["text"]), dialogue.speakers.tolist()
        situation, speaker = levels_loop(network.levels, text, speakers, least_turns=2)
        assert all(bool(speaker[i].any()) == (speakers.count(who) > 1) for i, who in enumerate(speakers))
        for pair in zip(situation, speaker, strict=True):
            expected.append(network.head[2].weight @ torch.cat(pair).clamp(min=0) + network.head[2].bias)
    logits, expected = network(batch)[batch.mask], torch.stack(expected)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(x.pow(2).sum(), list(network.parameters())) for x in (logits, expected))
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 1, 0], [0, 1, 2, 3, 4, 5], [1] * 6])
def test_contrast_is_the_mean_over_pairs_with_the_same_label(labels: list[int]) -> None:
    torch.manual_seed(0)
    states = torch.randn(6, 3, requires_grad=True)
    units = [state / state.norm() for state in states]
    losses = []
    for a in range(6):
        for p in range(6):
            if a != p and labels[a] == labels[p]:
                pair = torch.exp(units[a] @ units[p] / 0.5)
                others = sum(torch.exp(units[a] @ units[n] / 0.5) for n in range(6) if labels[n] != labels[a])
                losses.append(-torch.log(pair / (pair + others)))
    expected = sum(losses) / len(losses) if losses else states.sum() * 0
    found = contrast_loss(states, torch.tensor(labels), 0.5)
    torch.testing.assert_close(found, expected)
    ours, theirs = torch.autograd.grad(found, states)[0], torch.autograd.grad(expected, states)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("contrast_on", ["log-probabilities", "states"])
def test_two_passes_leave_the_gradients_that_they_should(contrast_on: Any, random_dialogues: Draw) -> None:
    """Compares with a network that is copied, changed and asked by hand."""
    system = SaclLstm(hidden=3, layers=2, dropout=0.0, situation_rate=0.0, contrast_on=contrast_on, attack=2.0)
    network, batch = build(system), make_batch(random_dialogues({"text": 4}))
    known = batch.labels >= 0

    def gradients(of: Any, contrast: float) -> dict[str, Any]:
        states = of.states(batch)[known]
        logits = of.head(states)
        compared = states if contrast_on == "states" else torch.log_softmax(logits, dim=-1)
        near = contrast_loss(compared, batch.labels[known], 0.1)
        loss = focal_loss(logits, batch.labels[known], 1.0) + contrast * near
        return dict(zip(dict(of.named_parameters()), torch.autograd.grad(loss, list(of.parameters())), strict=True))

    clean = gradients(network, 0.1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    targets = {
        f"levels.{level}.{kind}_ih_l1{direction}"
        for level in ("situation", "speaker")
        for kind in ("weight", "bias")
        for direction in ("", "_reverse")
    }
    changed = build(system)
    with torch.no_grad():
        for name, parameter in changed.named_parameters():
            if name in targets:
                parameter.add_(2.0 * clean[name] / clean[name].norm())
    adversarial = gradients(changed, 0.05)

    system.backward(network, batch, None)
    for name, parameter in network.named_parameters():
        expected = clean[name] if name in targets else clean[name] + adversarial[name]
        torch.testing.assert_close(parameter.grad, expected, atol=1e-6, rtol=1e-4)
        assert torch.equal(parameter, before[name])


def test_an_attack_has_its_length_and_ends_to_the_bit() -> None:
    one, still, unused = (torch.nn.Parameter(torch.randn(3, 4)) for _ in range(3))
    one.grad, still.grad = torch.randn(3, 4), torch.zeros(3, 4)
    before, gradient = [p.detach().clone() for p in (one, still, unused)], one.grad.clone()
    with pytest.raises(KeyboardInterrupt), attacked([one, still, unused], 5.0):
        change = one.detach() - before[0]
        assert math.isclose(float(change.norm()), 5.0, rel_tol=1e-5)
        torch.testing.assert_close(change, 5 * gradient / gradient.norm())
        assert torch.equal(still, before[1])
        assert torch.equal(unused, before[2])
        one.grad += 1
        raise KeyboardInterrupt
    assert all(torch.equal(p, was) for p, was in zip((one, still, unused), before, strict=True))
    assert torch.equal(one.grad, gradient)


def test_what_is_attacked_is_drawn() -> None:
    both, alone = ("situation", "speaker"), (("situation",), ("speaker",))
    system = SaclLstm(attack_rate=0.5, situation_rate=0.2, speaker_rate=0.6)
    drawn = [system.attacked_levels(x) for x in (0.0, 0.09, 0.11, 0.39, 0.41, 0.49, 0.5, 0.9)]
    assert drawn == [alone[0], alone[0], alone[1], alone[1], both, both, (), ()]
    assert SaclLstm(attack_rate=0.0).attacked_levels(0.0) == ()
    assert SaclLstm(attack_rate=1.0, situation_rate=0.0).attacked_levels(0.0) == both


def test_without_attacks_the_gradient_is_that_of_the_loss(random_dialogues: Draw) -> None:
    system = SaclLstm(hidden=3, dropout=0.0, attack_rate=0.0)
    network, batch = build(system), make_batch(random_dialogues({"text": 4}))
    expected = torch.autograd.grad(system.loss(network, batch, None), list(network.parameters()))
    system.backward(network, batch, None)
    for parameter, own in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, own)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'temperature': got 0"):
        SaclLstm(temperature=0)
    with pytest.raises(ConfigError, match="'contrast': got -1"):
        SaclLstm(contrast=-1)
    with pytest.raises(ConfigError, match="expected shares from 0 to 1"):
        SaclLstm(situation_rate=0.7, speaker_rate=0.7)
