"""Writing where other processes may write too: locks, files that appear whole, errors in one line."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError, StoreError


def settle(part: Path, path: Path) -> None:
    """Moves a complete file to its final path in one step, after its bytes have reached the disk."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turns what a file system refuses inside the block into a StoreError about `path`."""
    try:
        yield
    except HarnessError:  # DatasetNotFoundError is an OSError, but not of the file system
        raise
    except OSError as error:
        problem = f"cannot be read or written: {error.strerror or error}"
        raise StoreError(f"{path}: {problem}; check the folder and repeat") from None


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
