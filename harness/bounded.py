"""Files and documents of others, taken in within bounds of size and depth, whatever they hold. Knows no format of ours.

Whoever calls says what the file was meant to be: what is refused here comes as an `OSError` with a reason, or as a
`ValueError`, as it does for a file that is not there and for a document that is broken.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tomllib
from collections.abc import Callable
from decimal import InvalidOperation
from io import BufferedReader
from pathlib import Path
from typing import Any

MAX_SETTINGS = 4 << 20
"""Bytes of a file that people write by hand, such as a board.toml; the largest here has under 100 kB."""

MAX_DOCUMENT = 256 << 20
"""Bytes of a file that programs write, such as a leaderboard.json of a thousand systems."""

MAX_DEPTH = 64
"""Levels of lists and objects inside each other; ours have under ten. A deeper value could not be printed."""


def open_regular(path: Path) -> BufferedReader:
    """Opens a file for reading; raises OSError where it cannot be read, or is a folder, a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe that nobody writes would wait
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, max_bytes: int = MAX_DOCUMENT) -> bytes:
    """Returns the content of a file; one that is too large is refused by its size, before anything is read.

    Raises:
        OSError: as `open_regular`, or the file is too large; `strerror` says which.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1) if os.fstat(file.fileno()).st_size <= max_bytes else None
    if content is None or len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes} bytes, expected no more", str(path))
    return content


def parse_json(text: str | bytes) -> Any:
    """Returns the value of a JSON document; raises ValueError where it is broken or nested too deeply."""
    return _shallow(json.loads, text)


def parse_toml(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Returns the content of a TOML document; raises ValueError where it is broken or nested too deeply."""
    document: dict[str, Any] = _shallow(lambda text: tomllib.loads(text, parse_float=parse_float), text)
    return document


def _shallow(parse: Callable[[Any], Any], text: str | bytes) -> Any:
    try:
        value = parse(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except InvalidOperation:
        raise ValueError("it has a number that is out of range") from None
    level = _containers([value])
    for _ in range(MAX_DEPTH):
        if not level:
            return value
        level = [inner for outer in level for inner in _containers(outer)]
    raise ValueError("it is nested too deeply")


def _containers(outer: dict[str, Any] | list[Any]) -> list[Any]:
    """Returns the lists and mappings that stand right in one."""
    inside = outer.values() if isinstance(outer, dict) else outer
    return [inner for inner in inside if isinstance(inner, (dict, list))]
