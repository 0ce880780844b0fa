"""Which files Python opens while somebody else's code runs. Knows no predictor."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_watchers: list[set[Path]] = []


@contextmanager
def opened_files() -> Iterator[set[Path]]:
    """Yields the files opened so far in the block, links resolved, by any thread of this process.

    Files that libraries in C open by themselves, such as SQLite's or HDF5's, do not show, nor those of other processes.
    """
    _begin()
    found: set[Path] = set()
    _watchers.append(found)
    try:
        yield found
    finally:
        _watchers[:] = [one for one in _watchers if one is not found]


@cache
def _begin() -> None:
    """Asks Python to tell; there is no way to ask it to stop."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watchers and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = Path(os.fsdecode(arguments[0])).resolve()
        for found in _watchers:
            found.add(path)
