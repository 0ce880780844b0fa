"""Limits of tokens and dollars: kept with what is in flight, from any thread, and shared by a session."""

from __future__ import annotations

import threading

import pytest

from harness.errors import ConfigError
from harness.llm.budget import Budget, Usage


def test_what_is_in_flight_counts_until_it_is_settled() -> None:
    budget = Budget(max_tokens_total=100)
    most = Usage(40, None)
    assert budget.reserve(most)
    assert budget.reserve(most)
    assert not budget.reserve(most)
    assert budget.used == Usage(0, 0.0)
    budget.settle(most, Usage(15, None))
    assert budget.used == Usage(15, 0.0)
    assert budget.reserve(most)  # 15 used, 80 in flight
    assert not budget.reserve(Usage(6, None))
    assert budget.reserve(Usage(5, None))


def test_either_limit_stops() -> None:
    budget = Budget(max_cost=1.0, max_tokens_total=100)
    assert not budget.reserve(Usage(101, 0.1))
    assert not budget.reserve(Usage(1, 1.1))
    assert budget.reserve(Usage(100, 1.0))


def test_a_limit_can_be_used_to_the_last_cent() -> None:
    budget = Budget(max_cost=0.3)
    for _ in range(3):  # 0.1 + 0.1 + 0.1 is above 0.3 in binary
        assert budget.reserve(Usage(1, 0.1))
    assert not budget.reserve(Usage(1, 0.001))


def test_without_limits_everything_is_allowed() -> None:
    budget = Budget()
    assert not budget.is_limited
    assert budget.reserve(Usage(10**12, 1e12))


@pytest.mark.parametrize("limits", [{"max_cost": 0.0}, {"max_cost": float("nan")}, {"max_tokens_total": -1}])
def test_limits_are_above_zero(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"--max-(cost|tokens-total) \S+: expected a number above 0"):
        Budget(**limits)  # type: ignore[arg-type]


def test_threads_never_pass_the_limit_together() -> None:
    budget = Budget(max_tokens_total=1000)
    begin, passed = threading.Barrier(8), []

    def spend() -> None:
        begin.wait()
        while budget.reserve(Usage(7, None)):
            passed.append(1)
            budget.settle(Usage(7, None), Usage(5, None))

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.used.n_tokens == 5 * len(passed)
    assert 1000 - 7 - 7 * 8 < budget.used.n_tokens <= 1000


def test_what_was_used_is_told_beside_the_limits() -> None:
    budget = Budget(max_cost=2.5, max_tokens_total=1000)
    budget.reserve(Usage(20, 0.5))
    budget.settle(Usage(20, 0.5), Usage(10, 0.25))
    assert budget.describe() == "0.25 of 2.5 US dollars (--max-cost) and 10 of 1000 tokens (--max-tokens-total) used"
