"""DialogueCRN against a loop over utterances and readings, written from its equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.recurrent.dialogue_crn import DialogueCrn  # noqa: E402
from baselines.recurrent.objectives import focal_loss  # noqa: E402
from harness.errors import ConfigError  # noqa: E402


def reason(network: Any, reasoning: Any, bank: list[Any], i: int, n_steps: int) -> Any:
    """Returns what utterance i has found out after some readings of a bank."""
    found = network.query.weight @ bank[i] + network.query.bias
    h, c = torch.zeros_like(bank[i]), torch.zeros_like(bank[i])
    for _ in range(n_steps):
        cell = reasoning.cell
        gates = cell.weight_ih @ found + cell.bias_ih + cell.weight_hh @ h + cell.bias_hh
        enter, forget, new, leave = gates.chunk(4)
        c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(new)
        h = torch.sigmoid(leave) * torch.tanh(c)
        nearness = torch.stack([h @ state for state in bank])
        weights = nearness.exp() / nearness.exp().sum()
        found = torch.cat([h, sum(w * state for w, state in zip(weights, bank, strict=True))])
    return found


@pytest.mark.parametrize(("layers", "situation_steps", "speaker_steps"), [(1, 0, 0), (1, 0, 1), (2, 3, 2)])
def test_logits_and_gradients_follow_from_the_equations(
    layers: int, situation_steps: int, speaker_steps: int,
    random_dialogues: Callable[..., list[Any]], levels_loop: Callable[..., Any],
) -> None:  # fmt: skip
    system = DialogueCrn(hidden=3, layers=layers, situation_steps=situation_steps, speaker_steps=speaker_steps)
    torch.manual_seed(0)
    network: Any = system.build(Dimensions({"text": 4}, 5, 9)).eval()
    dialogues = random_dialogues({"text": 4}, 5)
    batch = make_batch(dialogues)
    expected = []
    for dialogue in dialogues:
        levels = levels_loop(network.levels, torch.from_numpy(dialogue.features["text"]), dialogue.speakers.tolist())
        for i in range(len(dialogue)):
            of_speaker = reason(network, network.speaker, levels[1], i, speaker_steps)
            of_situation = reason(network, network.situation, levels[0], i, situation_steps)
            hidden = torch.cat([of_speaker, of_situation]).clamp(min=0)
            expected.append(network.head[2].weight @ hidden + network.head[2].bias)
    logits, expected = network(batch)[batch.mask], torch.stack(expected)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(x.pow(2).sum(), list(network.parameters())) for x in (logits, expected))
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_the_focal_loss_is_what_its_formula_says(weights: list[float] | None) -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.3, 0.2, 0.1], [0.0, 0.0, 4.0]], requires_grad=True)
    labels = [0, 1, 2]
    probabilities = torch.softmax(logits, dim=-1)
    parts, shares = [], []
    for i, label in enumerate(labels):
        p = probabilities[i, label]
        shares.append(1.0 if weights is None else weights[label])
        parts.append(-shares[-1] * (1 - float(p.detach())) ** 2 * torch.log(p))
    expected = sum(parts) / sum(shares)
    found = focal_loss(logits, torch.tensor(labels), 2.0, None if weights is None else torch.tensor(weights))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits))


def test_without_focus_the_loss_is_cross_entropy() -> None:
    logits, labels = torch.randn(8, 4), torch.arange(8) % 4
    weights = torch.tensor([0.2, 1.0, 2.0, 0.5])
    for own in (None, weights):
        expected = torch.nn.functional.cross_entropy(logits, labels, weight=own)
        torch.testing.assert_close(focal_loss(logits, labels, 0.0, own), expected)


def test_utterances_without_label_do_not_count(random_dialogues: Callable[..., list[Any]]) -> None:
    system = DialogueCrn(hidden=3, dropout=0.0)
    network = system.build(Dimensions({"text": 4}, 7, 9))
    dialogue = random_dialogues({"text": 4})[5]
    batch = make_batch([dialogue])
    known = np.flatnonzero(dialogue.labels >= 0)
    assert 0 < len(known) < len(dialogue)
    chosen = torch.log_softmax(network(batch)[0], dim=-1)[known, dialogue.labels[known]]
    torch.testing.assert_close(system.loss(network, batch, None), -((1 - chosen.exp()) * chosen).mean())


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'hidden': got 0"):
        DialogueCrn(hidden=0)
    with pytest.raises(ConfigError, match="'speaker_steps': got -1"):
        DialogueCrn(speaker_steps=-1)
