"""What every reader must keep, whatever it is given: harness errors of one message only, soon, and in little memory."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

MAX_SECONDS = 20
"""Of processor time, for a single input; the slowest reader here takes 0.2 s."""

MAX_GROWTH = 3 << 30
"""Bytes of address space that reading a single input may add; a table may unpack to 1 GiB, and is there twice then."""


class TooSlowError(BaseException):
    """A reader hangs; no reader may catch it."""


@contextmanager
def bounds() -> Iterator[None]:
    """Raises TooSlowError or MemoryError from a block that takes too much; lets harness errors pass as answers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")  # pages of this process; without it, only time is bounded
    if statm.exists():
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MAX_GROWTH, hard))
    before = signal.signal(signal.SIGPROF, _hang)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    except HarnessError as error:
        assert str(error).strip(), "an error without a message"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _hang(*_: Any) -> None:
    raise TooSlowError(f"an input took more than {MAX_SECONDS} seconds of processor time")
