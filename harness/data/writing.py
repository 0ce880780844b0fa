"""Writing where other processes may write too: locks, files that appear whole, errors in one line."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

from harness.errors import HarnessError, StoreError


def settle(part: Path, path: Path) -> None:
    """Moves a complete file to its final path in one step, after its bytes have reached the disk."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)


def neighbour(path: Path) -> Path:
    """Returns where a file is written before it takes its place; what killed processes of this machine left goes."""
    mine = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(f"{escape(mine)}*.tmp"):
        pid = left.name.removeprefix(mine).removesuffix(".tmp")
        if pid.isdigit() and not _lives(int(pid)):
            left.unlink(missing_ok=True)
    return path.with_name(f"{mine}{os.getpid()}.tmp")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


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


BEAT_SECONDS = 5.0
"""Between two signs of life of who holds a lock."""

SILENT_SECONDS = 20.0
"""Without a sign of life after which an owner on another machine is taken for dead."""


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds an exclusive lock on a file, which tells who holds it: machine, process, since when.

    The system releases it when the process ends, however it ends. On a network file system whose locks do not reach
    other machines, an owner there is seen by its signs of life: it touches the file every `BEAT_SECONDS`, and a file
    that it has left untouched for `SILENT_SECONDS` is that of a dead process. No clock is compared with another.

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
            handle = path.open("a+")
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror or error}; choose another --results-dir") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise _held(path, _read_owner(handle)) from None
            except OSError as error:
                raise StoreError(f"cannot lock {path}: {error.strerror}; choose another --results-dir") from error
            if not _is_same_file(path, handle.fileno()):
                continue
            owner = _read_owner(handle)
            if owner.get("host", platform.node()) != platform.node() and _shows_life(path):
                if not wait:
                    raise _held(path, owner)
                continue
            with _owned(path, handle):
                yield
            return


@contextmanager
def _owned(path: Path, handle: IO[str]) -> Iterator[None]:
    """Writes who holds a lock, and gives signs of life, while the block lasts; then removes the file."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(handle.fileno())

    beating = Thread(target=beat, name=f"lock {path}", daemon=True)
    owner = {"host": platform.node(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    with suppress(OSError):  # where the disk is full the lock holds all the same, and says nothing
        os.ftruncate(handle.fileno(), 0)
        os.write(handle.fileno(), f"{json.dumps(owner)}\n".encode())
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        path.unlink(missing_ok=True)


def _read_owner(handle: IO[str]) -> dict[str, Any]:
    """Returns what a lock says of who holds it; nothing where it does not tell."""
    handle.seek(0)
    try:
        owner = json.loads(handle.read(4096))
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _shows_life(path: Path) -> bool:
    """Returns whether the owner of a lock on another machine touches it or lets go of it while we look."""
    deadline = time.monotonic() + SILENT_SECONDS
    before = _touched(path)
    while time.monotonic() < deadline:
        time.sleep(min(1.0, SILENT_SECONDS / 4))
        if _touched(path) != before:
            return True
    return False


def _touched(path: Path) -> int | None:
    try:
        with path.open("rb") as file:  # opening asks the server; a mere look may be answered by what this machine kept
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _held(path: Path, owner: dict[str, Any]) -> StoreError:
    who = f" (process {owner.get('pid')} on {owner.get('host')}, since {owner.get('since')})" if owner else ""
    stop = f"stop it there (type: kill {owner.get('pid')})" if owner else "stop it"
    return StoreError(f"another process is running {path.parent}{who}; wait for it, or {stop} and repeat")


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
