"""ICON and CMN against their equations, one target and one slot at a time; histories against enumeration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from baselines.memory.cmn import Cmn  # noqa: E402
from baselines.memory.histories import Histories  # noqa: E402
from baselines.memory.icon import Icon  # noqa: E402
from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from harness.errors import ConfigError  # noqa: E402

WIDTHS = {"text": 4, "audio": 2}


def gru(weights: Mapping[str, Any], name: str, inputs: list[Any], present: list[bool]) -> list[Any]:
    """States of a recurrent layer (Cho et al. 2014, reset gate applied after the product); absent ones are zeros."""
    h = torch.zeros(weights[f"{name}.weight_hh_l0"].shape[1])
    states = []
    for x, there in zip(inputs, present, strict=True):
        if there:
            r, z, n = (weights[f"{name}.weight_ih_l0"] @ x + weights[f"{name}.bias_ih_l0"]).chunk(3)
            hr, hz, hn = (weights[f"{name}.weight_hh_l0"] @ h + weights[f"{name}.bias_hh_l0"]).chunk(3)
            z = torch.sigmoid(z + hz)
            h = (1 - z) * torch.tanh(n + torch.sigmoid(r + hr) * hn) + z * h
        states.append(h if there else torch.zeros_like(h))
    return states


def read(query: Any, memory: list[Any], readable: list[bool]) -> Any:
    """What one query reads in one memory."""
    kept = [m for m, there in zip(memory, readable, strict=True) if there]
    if not kept:
        return torch.zeros_like(query)
    exponents = torch.stack([torch.exp(torch.tanh(query @ m)) for m in kept])
    return sum(e / exponents.sum() * m for e, m in zip(exponents, kept, strict=True))


def answer(build: type[Cmn], weights: Mapping[str, Any], rows: Any, speakers: Any, t: int, slots: int) -> Any:
    """Logits of utterance t of a dialogue."""
    past = range(max(0, t - slots), t)
    own = [bool(speakers[k] == speakers[t]) for k in past]
    other = [not mine for mine in own]
    u = [rows[k] for k in past]
    query = torch.tanh(weights["query.weight"] @ rows[t] + weights["query.bias"])
    own_states, other_states = gru(weights, "own", u, own), gru(weights, "other", u, other)
    if build is Icon:
        memory = [torch.tanh(a + b) for a, b in zip(own_states, other_states, strict=True)]
        for hop in range(3):
            memory = gru(weights, "memory" if hop else "whole", memory, [True] * len(past))
            query = torch.tanh(query + read(query, memory, [True] * len(past)))
    else:
        own_memory = gru(weights, "own_memory", [torch.tanh(s) for s in own_states], own)
        other_memory = gru(weights, "other_memory", [torch.tanh(s) for s in other_states], other)
        for _ in range(3):
            query = torch.tanh(query + read(query, own_memory, own) + read(query, other_memory, other))
    return weights["head.weight"] @ query + weights["head.bias"]


@pytest.mark.parametrize("slots", [3, 40])
@pytest.mark.parametrize("build", [Icon, Cmn])
def test_logits_and_gradients_follow_from_the_equations(
    build: type[Cmn], slots: int, random_dialogues: Callable[..., list[Any]]
) -> None:
    torch.manual_seed(0)
    network: Any = build(hidden=3, slots=slots).build(Dimensions(WIDTHS, 5, 2)).eval()
    weights = dict(network.named_parameters())
    dialogues = [d for d in random_dialogues(WIDTHS, 5) if len(d) < 30]
    expected = []
    for dialogue in dialogues:
        rows = torch.from_numpy(np.hstack([dialogue.features["text"], dialogue.features["audio"]]))
        expected += [answer(build, weights, rows, dialogue.speakers, t, slots) for t in range(len(dialogue))]
    batch = make_batch(dialogues)
    found = network(batch)[batch.mask]
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-5)
    losses = (found.pow(2).sum(), torch.stack(expected).pow(2).sum())
    gradients = [torch.autograd.grad(loss, list(network.parameters())) for loss in losses]
    for name, ours, theirs in zip(weights, *gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("n_slots", [1, 2, 5, 40])
def test_histories_are_what_was_said_before(n_slots: int, random_dialogues: Callable[..., list[Any]]) -> None:
    dialogues = random_dialogues({"text": 1})
    batch = make_batch(dialogues, extra=2)
    histories = Histories.of(batch, n_slots)
    width, target = batch.speakers.shape[1], 0
    for d, dialogue in enumerate(dialogues):
        for t in range(len(dialogue)):
            past = list(range(max(0, t - n_slots), t))
            history, before = histories.belongs[target], histories.before[target]
            assert (histories.positions[history][before] - d * width).tolist() == past
            mine = [bool(dialogue.speakers[k] == dialogue.speakers[t]) for k in past]
            assert histories.own[history][before].tolist() == mine
            assert histories.other[history][before].tolist() == [not own for own in mine]
            target += 1
    assert target == len(histories.belongs)
    assert not (histories.own & histories.other).any()


def test_short_dialogues_have_one_history_a_speaker(random_dialogues: Callable[..., list[Any]]) -> None:
    dialogues = random_dialogues({"text": 1})
    n_parties = sum(len(set(d.speakers.tolist())) for d in dialogues)
    assert len(Histories.of(make_batch(dialogues), 40).positions) == n_parties


def test_settings_are_checked() -> None:
    for setting in ("hidden", "hops", "slots"):
        with pytest.raises(ConfigError, match=f"'{setting}': got 0"):
            Icon(**{setting: 0})
