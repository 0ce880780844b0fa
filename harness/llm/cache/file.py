"""The SQLite file of the response store: where it is, how it is opened and made, and what its errors mean."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.data.cache_folder import cache_folder
from harness.errors import StoreError

FORMAT = 1
"""Version of the file's tables and of the key; kept in the file as SQLite's user_version."""

_WAIT_SECONDS = 60.0
"""How long a write waits for the writes of other processes."""

_TABLE = """
CREATE TABLE responses (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    response TEXT NOT NULL,
    model TEXT NOT NULL,
    backend TEXT NOT NULL,
    n_prompt_tokens INTEGER,
    n_completion_tokens INTEGER,
    usd REAL,
    created TEXT NOT NULL,
    version TEXT NOT NULL,
    fields TEXT NOT NULL
)
"""  # the long column last: a look-up of responses does not read over it


def default_path() -> Path:
    """Returns the file of the store in the user's cache folder."""
    return cache_folder() / "responses.sqlite"


class CacheFile:
    """A file that is opened on first use, made at the first write, and shared by several processes (WAL mode).

    Raises:
        StoreError: from every method: the file cannot be read or written, is corrupt, or is of another format.
    """

    def __init__(self, path: Path) -> None:
        """Names the file."""
        self.path = path
        self._db: sqlite3.Connection | None = None

    def reading(self) -> sqlite3.Connection | None:
        """Returns the connection; None where there is nothing to read yet."""
        if self._db is None and self.path.exists() and self.path.stat().st_size:
            self._db = self._connect()
        return self._db

    def writing(self) -> sqlite3.Connection:
        """Returns the connection, the file made if need be."""
        if self._db is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600)
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            os.close(descriptor)
            if not is_file:
                raise StoreError(f"response store {self.path} is no regular file; choose another one with --cache FILE")
            self._db = self._connect()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        with ExitStack() as on_failure:
            on_failure.callback(db.close)
            db.text_factory = _decode_text
            if not self._has_table(db):
                self._make_table(db)
            db.execute("PRAGMA synchronous=NORMAL")
            on_failure.pop_all()
        return db

    def _has_table(self, db: sqlite3.Connection) -> bool:
        """Whether the tables are there; raises StoreError where they are of another format or of something else."""
        # One statement, so that both are of one moment: another process may be making the tables.
        found, tables = db.execute(
            "SELECT user_version, (SELECT group_concat(name) FROM sqlite_master WHERE type = 'table') "
            "FROM pragma_user_version"
        ).fetchone()
        if (found, tables) == (FORMAT, "responses"):
            return True
        if (found, tables) == (0, None):
            return False
        raise StoreError(
            f"response store {self.path} has format {found!r} and the tables {tables!r}; expected format {FORMAT}: use "
            "the version of erc-harness that wrote it, or choose another file with --cache FILE or ERC_CACHE_DIR"
        )

    def _make_table(self, db: sqlite3.Connection) -> None:
        """Makes the tables, once however many processes try."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:  # SQLite does not wait by itself where the change of the journal meets another writer
            try:
                db.execute("PRAGMA journal_mode=WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        db.execute("BEGIN IMMEDIATE")
        if not self._has_table(db):
            db.execute(_TABLE)
            db.execute(f"PRAGMA user_version={FORMAT}")
        db.execute("COMMIT")

    def close(self) -> None:
        """Closes the file; a later use opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Turns what SQLite and the system say into one line that tells what to do."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise self.corrupt(
                    str(error), "delete the file (sqlite3 FILE .recover saves what is readable)"
                ) from error
            if name.startswith("SQLITE_BUSY"):
                todo = "another process holds it; wait for it and repeat"
            else:
                todo = "free the disk, or choose another file with --cache FILE or ERC_CACHE_DIR"
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"cannot use response store {self.path}: {reason}; {todo}") from error

    def corrupt(self, what: str, todo: str = "") -> StoreError:
        """Returns the error of a corrupt file, which says how to get rid of what is corrupt."""
        todo = todo or f"type: erc-harness cache prune --corrupt --cache {shlex.quote(str(self.path))}"
        return StoreError(f"response store {self.path} is corrupt: {what}; {todo}; what goes is asked again")


def _decode_text(data: bytes) -> str:
    return data.decode(errors="replace")  # bytes that were never written must not end in a codec's error
