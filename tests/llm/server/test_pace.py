"""Limits per minute, room in flight and pauses, by the timestamps of a clock that only sleeping moves."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass
from typing import Any

import pytest

from harness.llm.server.pace import Pace


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def paced(n_max: int = 32, **limits: Any) -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(n_max, **limits, clock=clock, sleep=clock.sleep), clock


def starts(pace: Pace, sizes: list[float], used: list[float] | None = None) -> list[float]:
    """Returns when calls began that each took no time, all asked for at once."""

    async def call(i: int) -> float:
        began = await pace.enter(sizes[i])
        pace.leave()
        if used is not None:
            pace.succeeded(used[i] - sizes[i])
        return began

    async def run() -> list[float]:
        pace.begin()
        return await asyncio.gather(*(call(i) for i in range(len(sizes))))

    return asyncio.run(run())


def most_in_a_minute(times: list[float], amounts: list[float]) -> float:
    """Returns the largest amount in any 60 seconds, begin included and end excluded."""
    return max(sum(a for t, a in zip(times, amounts, strict=True) if at <= t < at + 60) for at in times)


def test_requests_per_minute_are_kept_and_used() -> None:
    pace, _ = paced(requests_per_minute=120)
    times = starts(pace, [1.0] * 301)
    assert times == sorted(times)
    assert most_in_a_minute(times, [1.0] * 301) == 120
    assert times[-1] - times[0] == pytest.approx(150)


def test_tokens_per_minute_are_kept_up_to_one_call() -> None:
    rng = random.Random(0)
    sizes = [rng.uniform(10, 500) for _ in range(200)]
    pace, _ = paced(tokens_per_minute=6000)
    times = starts(pace, sizes)
    assert most_in_a_minute(times, sizes) <= 6000 + max(sizes)
    assert times[-1] - times[0] == pytest.approx(sum(sizes[:-1]) / 6000 * 60)


@pytest.mark.parametrize("factor", [0.5, 3.0], ids=["guessed too high", "guessed too low"])
def test_tokens_count_as_used_once_that_is_known(factor: float) -> None:
    pace, _ = paced(tokens_per_minute=6000)
    times = starts(pace, [100.0] * 50, used=[100.0 * factor] * 50)
    assert times[-1] - times[0] == pytest.approx(49 * factor)


def test_both_limits_hold_together() -> None:
    pace, _ = paced(requests_per_minute=60, tokens_per_minute=600)
    assert starts(pace, [20.0, 1.0, 1.0, 1.0]) == pytest.approx([1000, 1002, 1003, 1004])


def test_idle_time_is_not_saved_up() -> None:
    pace, clock = paced(requests_per_minute=60)
    starts(pace, [1.0])
    clock.now += 300
    assert starts(pace, [1.0] * 3) == [1300, 1301, 1302]


def test_limits_are_kept_from_one_loop_to_the_next() -> None:
    pace, _ = paced(requests_per_minute=60)
    assert starts(pace, [1.0]) + starts(pace, [1.0]) == [1000, 1001]


def test_a_pause_holds_for_everybody_and_a_shorter_one_does_not_end_it() -> None:
    pace, _ = paced()
    pace.hold(7.0)
    pace.hold(2.0)
    assert starts(pace, [1.0] * 5) == [1007] * 5


def test_overload_halves_once_a_window_and_successes_add_one() -> None:
    pace, clock = paced(n_max=8)
    windows = []
    for began in (1000, 999, 998, 1001, 1002, 1003):  # the second and third were in flight with the first
        pace.overloaded(began)
        windows.append(pace.window)
        clock.now += 1
    assert windows == [4, 4, 4, 2, 2, 1]
    pace.overloaded(clock.now)
    assert pace.window == 1
    grown = []
    for _ in range(60):
        pace.succeeded()
        grown.append(int(pace.window))
    assert grown[0] == 2
    assert max(grown) == grown[-1] == 8
    needed = [grown.index(n) for n in range(2, 9)]  # from n to n + 1 takes a window: about n successes
    assert [b - a for a, b in itertools.pairwise(needed)] == pytest.approx([2, 3, 4, 5, 6, 7], abs=1)


def test_no_more_run_than_the_window_allows_and_all_get_their_turn() -> None:
    pace = Pace(6)
    n_running: list[int] = []
    order: list[int] = []

    async def call(i: int) -> None:
        began = await pace.enter(0)
        order.append(i)
        n_running.append(pace.n_in_flight)
        assert pace.n_in_flight <= pace.window
        await asyncio.sleep(0.001)
        pace.leave()
        if i == 10:
            pace.overloaded(began)

    async def run() -> None:
        pace.begin()
        await asyncio.gather(*(call(i) for i in range(40)))

    asyncio.run(run())
    assert order == list(range(40))
    assert max(n_running[:10]) == 6
    assert max(n_running[25:]) == 3
    assert pace.n_in_flight == 0


def test_what_is_in_flight_is_waited_for_and_nothing_else_starts() -> None:
    pace = Pace(2)
    events: list[str] = []

    async def call(name: str) -> None:
        await pace.enter(0)
        events.append(f"{name} began")
        await asyncio.sleep(0.01)
        events.append(f"{name} ended")
        pace.leave()

    async def run() -> None:
        pace.begin()
        tasks = [asyncio.create_task(call(name)) for name in "abcd"]
        while len(events) < 2:
            await asyncio.sleep(0)
        await asyncio.wait_for(pace.settle(), 10)
        events.append("settled")
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    assert events == ["a began", "b began", "a ended", "b ended", "settled"]
