"""Failures before the first success: of the items, or of the model? Many are the model's, and then no answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from contextlib import closing

from harness.errors import ModelError
from harness.llm.answer import Arrival

N_ALIKE = 16
"""Failures in a row, all alike, before any success: enough to stop at once."""

_DIGITS = re.compile(r"\d+")


def doubt_failures(arrivals: Generator[Arrival], model: str) -> Generator[Arrival]:
    """Yields what arrives, but holds failures back until one call has succeeded.

    A few that fail alone may have come last, after a resumption; `N_ALIKE` without any success may not.

    Raises:
        ModelError: the first `N_ALIKE` calls have failed alike but for numbers, or so many in all and none succeeded.
    """
    failed: list[Arrival] = []
    with closing(arrivals):
        for arrival in arrivals:
            if arrival.response.finish != "error":
                yield from failed
                yield arrival
                yield from arrivals
                return
            failed.append(arrival)
            if len(failed) == N_ALIKE and len({_DIGITS.sub("#", held.response.error) for held in failed}) == 1:
                break
        if len(failed) >= N_ALIKE:
            often, n_often = Counter(held.response.error for held in failed).most_common(1)[0]
            raise ModelError(
                f"the first {len(failed)} calls of {model!r} all failed, {n_often} of them with: {often}; nothing was "
                "kept: mend that and repeat the command"
            )
        yield from failed
