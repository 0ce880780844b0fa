"""Writing files so that a reader sees the old content or the new one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from harness.data.writing import neighbour
from harness.errors import StoreError


@contextmanager
def open_atomic(path: Path, advice: str = "choose --results-dir") -> Iterator[BinaryIO]:
    """Gives a file to write that takes its place at once, at the end: a neighbour, flushed to the disk, then renamed.

    Whatever ends the block early leaves the old file, or none, and no neighbour.

    Args:
        path: the file; its folder is made if absent.
        advice: what else a user can do where there is no room.

    Raises:
        StoreError: the folder cannot be written.
    """
    temporary = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = neighbour(path)
        temporary.unlink(missing_ok=True)  # of a killed process, or a link that somebody has put there
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to tell
            if temporary != path:
                temporary.unlink()
        if not isinstance(error, OSError):
            raise
        raise StoreError(f"cannot write {path}: {error.strerror or error}; free the disk or {advice}") from error


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file at once; raises StoreError as `open_atomic`."""
    with open_atomic(path) as file:
        file.write(content)


def sha256_of(content: bytes) -> str:
    """Returns the SHA-256 of bytes, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()
