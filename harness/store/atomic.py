"""Writing files so that a reader sees the old content or the new one, and locking a folder against a second writer."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to tell
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


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds an exclusive lock on a file, which the system releases when the process ends, however it ends.

    Args:
        path: the file.
        wait: whether to wait until another process lets go of it.

    The file is removed on the way out; a waiter that then holds a removed file tries again with the new one.

    Raises:
        StoreError: another process holds it and nobody waits, or the folder cannot be written.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror or error}; choose another --results-dir") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise StoreError(
                    f"another process is running {path.parent}; wait for it, or stop it and repeat"
                ) from None
            if not _is_same_file(path, handle.fileno()):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
