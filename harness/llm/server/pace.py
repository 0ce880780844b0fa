"""When the next call may start: room in flight, limits per minute, and the server's wish to be left alone.

Knows no protocol and no thread: one event loop asks it, with a clock and a sleep that tests can replace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class RateLimit:
    """A limit per minute, spent evenly: what was spent is waited for before anything else is.

    In any 60 seconds at most `per_minute` is spent, plus the one spending that ends them. Nothing is saved up: some
    providers enforce a limit per minute by the second. Source: OpenAI, guide "Rate limits", on quantised limits.
    """

    per_minute: float | None
    """None: no limit."""
    free_at: float = 0.0
    """Clock time from which on something may be spent again."""

    def spend(self, amount: float, now: float) -> None:
        """Takes an amount; a negative one gives back what was estimated too high."""
        if self.per_minute is not None:
            self.free_at = max(self.free_at, now) + 60.0 * amount / self.per_minute


@dataclass(slots=True)
class Pace:
    """Lets calls start, in the order in which they ask.

    Calls in flight: additive increase, multiplicative decrease. An overload halves them, not below 1; every window of
    successes (as many as may be in flight) adds one again, up to `n_max`. Of all calls that were in flight together
    only one halves: they tell of the same overload. Source: Chiu and Jain 1989, "Analysis of the increase and decrease
    algorithms for congestion avoidance"; RFC 5681, section 3.1; RFC 6582 for one decrease a window.
    """

    n_max: int
    """Calls in flight at most, and at the start."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    window: float = field(init=False)
    """Calls that may be in flight now; its whole part counts."""
    n_in_flight: int = field(init=False, default=0)
    _requests: RateLimit = field(init=False)
    _tokens: RateLimit = field(init=False)
    _cut_at: float = field(init=False, default=float("-inf"))
    _held_until: float = field(init=False, default=float("-inf"))
    _stopped: bool = field(init=False)
    _turn: asyncio.Lock = field(init=False)
    _room: asyncio.Event = field(init=False)

    def __post_init__(self) -> None:
        self.window = float(self.n_max)
        self._requests = RateLimit(self.requests_per_minute)
        self._tokens = RateLimit(self.tokens_per_minute)
        self.begin()

    def begin(self) -> None:
        """Starts over with nothing in flight, in a new event loop; what was learnt and spent stays."""
        self.n_in_flight = 0
        self._stopped = False
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()

    async def enter(self, n_tokens: float) -> float:
        """Waits until a call may start, and counts it as in flight; returns the clock time.

        Args:
            n_tokens: tokens that the call is expected to use.
        """
        async with self._turn:
            while True:
                now = self.clock()
                wait = max(self._held_until, self._requests.free_at, self._tokens.free_at) - now
                if self._stopped or self.n_in_flight >= int(self.window):
                    self._room.clear()
                    await self._room.wait()
                elif wait > 0:
                    await self.sleep(wait)
                else:
                    break
            self.n_in_flight += 1
            self._requests.spend(1, now)
            self._tokens.spend(n_tokens, now)
            await asyncio.sleep(0)  # one start a turn: answers that come together would stay together, and wait
            return now

    def leave(self) -> None:
        """Counts a call out, however it ended."""
        self.n_in_flight -= 1
        self._room.set()

    async def settle(self) -> None:
        """Lets no call start any more, and waits until none is in flight."""
        self._stopped = True
        while self.n_in_flight:
            self._room.clear()
            await self._room.wait()

    def succeeded(self, n_tokens_more: float = 0.0) -> None:
        """Widens the window, and corrects the tokens by what the call used more than expected."""
        self.window = min(float(self.n_max), self.window + 1.0 / self.window)
        self._tokens.spend(n_tokens_more, self.clock())

    def overloaded(self, began: float) -> None:
        """Halves the window, if the call that found the server overloaded began after the last time."""
        if began >= self._cut_at:
            self.window = max(1.0, self.window / 2.0)
            self._cut_at = self.clock()

    def hold(self, seconds: float) -> None:
        """Lets no call start for so long, whoever was told to wait."""
        self._held_until = max(self._held_until, self.clock() + seconds)
