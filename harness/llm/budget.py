"""Limits of a session in tokens and dollars, kept by reserving before a request is sent and settling after it.

What is in flight counts with the most it may use, so that the limits hold whenever the estimates do.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from harness.errors import ConfigError

_ROUNDING = 1e-9
"""Relative error of sums of dollars that must not stop a session at its exact limit."""


@dataclass(frozen=True, slots=True)
class Usage:
    """An amount of tokens and money."""

    n_tokens: int
    """Prompt and completion tokens."""
    usd: float | None
    """US dollars; None where no price is known."""


class Budget:
    """What may be used, what has been, and what requests in flight may still use; safe to share between threads.

    Raises:
        ConfigError: a limit is not above 0.
    """

    def __init__(self, max_cost: float | None = None, max_tokens_total: int | None = None) -> None:
        """Begins a session.

        Args:
            max_cost: US dollars; None: no limit.
            max_tokens_total: prompt and completion tokens; None: no limit.
        """
        for option, limit in (("--max-cost", max_cost), ("--max-tokens-total", max_tokens_total)):
            if limit is not None and not limit > 0:
                raise ConfigError(f"{option} {limit!r}: expected a number above 0")
        self.max_cost = max_cost
        self.max_tokens_total = max_tokens_total
        self._lock = threading.Lock()
        self._n_tokens = 0
        self._usd = 0.0
        self._n_reserved = 0
        self._usd_reserved = 0.0

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit to keep."""
        return self.max_cost is not None or self.max_tokens_total is not None

    @property
    def used(self) -> Usage:
        """What answered requests have used; dollars as far as prices are known."""
        with self._lock:
            return Usage(self._n_tokens, self._usd)

    def describe(self) -> str:
        """Returns what has been used of what may be used."""
        used = self.used
        limits = []
        if self.max_cost is not None:
            limits.append(f"{used.usd:.6g} of {self.max_cost:g} US dollars (--max-cost)")
        if self.max_tokens_total is not None:
            limits.append(f"{used.n_tokens} of {self.max_tokens_total} tokens (--max-tokens-total)")
        return " and ".join(limits) + " used"

    def reserve(self, most: Usage) -> bool:
        """Sets aside the most that a request may use; False, and nothing set aside, where it could break a limit."""
        usd = most.usd or 0.0
        with self._lock:
            spent = self._usd + self._usd_reserved + usd
            if self.max_cost is not None and spent > self.max_cost * (1 + _ROUNDING):
                return False
            tokens = self._n_tokens + self._n_reserved + most.n_tokens
            if self.max_tokens_total is not None and tokens > self.max_tokens_total:
                return False
            self._n_reserved += most.n_tokens
            self._usd_reserved += usd
            return True

    def settle(self, most: Usage, used: Usage) -> None:
        """Puts what a request has used in the place of what was set aside for it."""
        with self._lock:
            self._n_reserved -= most.n_tokens
            self._usd_reserved -= most.usd or 0.0
            self._n_tokens += used.n_tokens
            self._usd += used.usd or 0.0
