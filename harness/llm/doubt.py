"""Failures before the first success: of the items, or of the model? All alike, they are no answers."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from harness.errors import ModelError
from harness.llm.answer import Arrival

N_ALIKE = 16
"""Failures in a row, all with one message, before any success: then the model is at fault and not the items."""


def doubt_failures(arrivals: Generator[Arrival], model: str) -> Generator[Arrival]:
    """Yields what arrives, but holds failures back until one call has succeeded or two have failed differently.

    Raises:
        ModelError: the first `N_ALIKE` calls have all failed alike; none of them is yielded.
    """
    doubtful: list[Arrival] = []
    trusted = False
    with closing(arrivals):
        for arrival in arrivals:
            doubtful.append(arrival)
            errors = {held.response.error for held in doubtful}
            trusted = trusted or arrival.response.finish != "error" or len(errors) > 1
            if trusted:
                yield from doubtful
                doubtful.clear()
            elif len(doubtful) == N_ALIKE:
                raise ModelError(
                    f"the first {N_ALIKE} calls of {model!r} all failed alike: {errors.pop()}; nothing was kept: mend "
                    "that and repeat the command"
                )
        yield from doubtful
