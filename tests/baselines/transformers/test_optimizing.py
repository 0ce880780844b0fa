"""The learning rate rises and falls with the updates, also after a restart; which weights decay."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from baselines.transformers.optimizing import make_adamw, updates_made  # noqa: E402


def rates(optimizer: object, weight: object, n: int) -> list[float]:
    made = []
    for _ in range(n):
        weight.grad = torch.ones_like(weight)  # type: ignore[attr-defined]
        optimizer.step()  # type: ignore[attr-defined]
        made.append(optimizer.param_groups[0]["lr"])  # type: ignore[attr-defined]
    return made


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    network = torch.nn.Linear(2, 2)
    optimizer = make_adamw(network, 0.1, 0.01, n_updates=10, warmup=0.2)
    assert updates_made(optimizer) == 0
    # By hand: two updates up, 0.05 and 0.1, then (10 - made) / 9 of the peak.
    expected = [0.05, 0.1, *(0.1 * (10 - made) / 9 for made in range(2, 10))]
    assert rates(optimizer, network.weight, 10) == pytest.approx(expected)
    assert updates_made(optimizer) == 10


def test_a_restored_optimizer_goes_on_with_its_rate() -> None:
    network = torch.nn.Linear(2, 2)
    first = make_adamw(network, 0.1, 0.01, n_updates=10, warmup=0.2)
    whole = rates(first, network.weight, 10)
    cut = make_adamw(network, 0.1, 0.01, n_updates=10, warmup=0.2)
    rates(cut, network.weight, 4)
    again = make_adamw(network, 0.1, 0.01, n_updates=10, warmup=0.2)
    again.load_state_dict({**cut.state_dict(), "param_groups": again.state_dict()["param_groups"]})
    assert rates(again, network.weight, 6) == pytest.approx(whole[4:])


def test_only_matrices_decay() -> None:
    network = torch.nn.Linear(2, 2)
    optimizer = make_adamw(network, 0.1, 0.5, n_updates=4, warmup=0.0)
    decays = {id(w): group["weight_decay"] for group in optimizer.param_groups for w in group["params"]}
    assert (decays[id(network.weight)], decays[id(network.bias)]) == (0.5, 0.0)
