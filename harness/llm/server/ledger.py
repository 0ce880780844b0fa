"""Which batches are on their way at a provider, kept in one small file, so that a repeated command finds them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.errors import StoreError


class Ledger:
    """Batches on their way, by the hash of their file: id, mark, server, lines. One JSON file, replaced at once.

    An entry is made before its batch is, with id None: a command may be killed between the two.
    """

    def __init__(self, path: Path) -> None:
        """Names the file."""
        self.path = path

    def read(self) -> dict[str, Any]:
        """Returns all entries.

        Raises:
            StoreError: the file cannot be read, or is not JSON.
        """
        try:
            return dict(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StoreError(
                f"cannot read {self.path}: {error}; batches on their way are lost if it is removed"
            ) from error

    def put(self, key: str, entry: Mapping[str, Any]) -> None:
        """Adds an entry; raises as `read` where the file cannot be written."""
        with self._locked("lock"):
            self._write(self.read() | {key: dict(entry)})

    def remove(self, key: str) -> None:
        """Removes an entry; raises as `read` where the file cannot be written."""
        with self._locked("lock"):
            self._write({k: entry for k, entry in self.read().items() if k != key})

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Waits until no other process makes batches, so that an entry without id is of one that was killed."""
        with self._locked("sending"):
            yield

    @contextmanager
    def _locked(self, what: str) -> Iterator[None]:
        """Waits until no other process has the lock of that name."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_name(f".{self.path.name}.{what}").open("w")
        except OSError as error:
            raise self._not_written(error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed
            yield

    def _write(self, entries: Mapping[str, Any]) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(entries, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            with suppress(OSError):  # the first error is the one to tell
                temporary.unlink()
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {self.path}: {error.strerror or error}; choose another --cache")
