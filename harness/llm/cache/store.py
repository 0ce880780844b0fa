"""The response store: one SQLite file of answers by the hash of all that an answer depends on. Calls nobody.

A stored answer is taken only where back end, model, rendered prompt and decoding are the same, so that changing any of
them asks again. The file is the user's own (mode 0600): it holds prompts, and with them the text of corpora.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from harness.errors import ConfigError
from harness.llm.answer import Arrival
from harness.llm.cache.file import CacheFile
from harness.llm.cache.miss import Miss, find_miss
from harness.llm.request import Request, Response

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

_DEFAULTS = {f.name: f.default for f in fields(Response)}


@dataclass(frozen=True, slots=True)
class ModelStats:
    """What is stored of one model."""

    model: str
    backend: str
    n_entries: int
    n_prompt_tokens: int
    """Of the answers that tell."""
    n_completion_tokens: int
    usd: float
    """US dollars that these answers cost when they were given, as far as known."""
    n_usd_unknown: int
    """Answers whose price was not known."""
    first: str
    """UTC time of the oldest answer."""
    last: str


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What is in the store."""

    path: Path
    n_bytes: int
    """Size on disk, write-ahead log included."""
    models: tuple[ModelStats, ...]
    """By model and back end, most answers first."""

    @property
    def n_entries(self) -> int:
        """Number of stored answers."""
        return sum(row.n_entries for row in self.models)


def request_key(identity: Mapping[str, object], request: Request, rendered: str) -> tuple[str, dict[str, Any]]:
    """Returns the key of a request, 64 hex digits, and the fields it is made of.

    Args:
        identity: of the back end, JSON values.
        request: the question.
        rendered: exactly what the model reads.
    """
    names_choices = request.mode == "choice" or request.constrained
    key_fields: dict[str, Any] = {
        "identity": dict(identity),
        "form": request.prompt.form,
        "mode": request.mode,
        "choices": list(request.choices) if names_choices else None,
        "constrained": request.constrained,
        "premise": request.prompt.premise.text if request.with_premise else None,
        "decoding": {f: getattr(request.decoding, f) for f in request.decoding.__slots__},
        "prompt": rendered,
    }
    return _sha256(_canonical(key_fields)), key_fields


class ResponseCache:
    """Answers by key, in one file that several processes may use at once.

    Nothing is made before the first write. An answer is in the file when `put` returns: it outlives the process,
    however that ends (SQLite write-ahead log, synchronous=NORMAL; a power cut may lose the last answers, no more).

    Raises:
        StoreError: from every method: the file cannot be read or written, is corrupt, or is of another format.
    """

    def __init__(self, path: Path) -> None:
        """Names the file; it is opened on first use."""
        from harness import __version__

        self.path = path
        self._file = CacheFile(path)
        self._version = __version__

    def get_many(self, keys: Iterable[str]) -> dict[str, Arrival]:
        """Returns the stored responses of those keys that have one, with their prices, by key."""
        found = {}
        with self._file.reporting():
            if (db := self._file.reading()) is None:
                return {}
            rows = db.execute(
                "SELECT key, digest, response, usd FROM responses WHERE key IN (SELECT value FROM json_each(?))",
                [json.dumps(list(keys))],
            )
            for key, digest, response, usd in rows:
                if digest != _sha256(key + response):
                    raise self._file.corrupt(f"the answer stored under {key[:12]}... is not what was written")
                found[key] = Arrival(key, _decode(response), usd)
        return found

    def prepare(self) -> None:
        """Makes the file if need be: called before the first question, so that no answer is paid for and then lost."""
        with self._file.reporting():
            self._file.writing()

    def put(self, key: str, key_fields: Mapping[str, Any], response: Response, usd: float | None, model: str) -> None:
        """Stores a response for good; one with finish "error" is left out, so that it is asked for again.

        An answer that another process has stored meanwhile under the same key stays.

        Args:
            key: of the request.
            key_fields: what the key is made of.
            response: the answer.
            usd: what it cost in US dollars, None where no price is known.
            model: name under which it is counted and pruned.
        """
        if response.finish == "error":
            return
        text = _encode(response)
        row = (
            key, _sha256(key + text), text, model, str(key_fields["identity"].get("backend", "")),
            response.n_prompt_tokens, response.n_completion_tokens, usd, _utc(datetime.now(UTC)), self._version,
            _canonical(key_fields),
        )  # fmt: skip
        with self._file.reporting():
            self._file.writing().execute("INSERT OR IGNORE INTO responses VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)

    def explain_miss(self, key_fields: Mapping[str, Any]) -> Miss | None:
        """Returns where a request differs from the nearest stored one; None where it is stored, or nothing is."""
        return find_miss(key_fields, self._requests())

    def stats(self) -> CacheStats:
        """Returns what is stored, by model and back end."""
        columns = """model, backend, count(*), total(n_prompt_tokens), total(n_completion_tokens), total(usd),
            sum(usd IS NULL), min(created), max(created)"""
        rows = [
            ModelStats(model, backend, n, int(n_prompt), int(n_completion), usd, n_unknown, first, last)
            for model, backend, n, n_prompt, n_completion, usd, n_unknown, first, last in self._rows(
                columns, "GROUP BY model, backend ORDER BY count(*) DESC, model, backend"
            )
        ]
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return CacheStats(self.path, sum(f.stat().st_size for f in files if f.exists()), tuple(rows))

    def prune(
        self,
        *,
        model: str | None = None,
        older_than_days: float | None = None,
        corrupt: bool = False,
        everything: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Removes answers that meet every condition given, gives their room back to the disk, and returns how many.

        Args:
            model: of this model only.
            older_than_days: given before this many days of 24 hours.
            corrupt: that are not what was written.
            everything: all of them; goes with no other condition.
            dry_run: whether to count only.

        Raises:
            ConfigError: no condition, or `everything` with another.
            StoreError: the file cannot be read or written.
        """
        conditions = [model is not None, older_than_days is not None, corrupt]
        if everything == any(conditions):
            raise ConfigError("what to delete: give --model NAME, --older-than DAYS or --corrupt, or else --all alone")
        where, values = "WHERE 1", list[object]()
        if model is not None:
            where, values = f"{where} AND model = ?", [*values, model]
        if older_than_days is not None:
            limit = _utc(datetime.now(UTC) - timedelta(days=older_than_days))
            where, values = f"{where} AND created < ?", [*values, limit]
        if corrupt:
            rows = self._rows("rowid, key, digest, response, fields", where, values)
            chosen = [i for i, *row in rows if not _is_whole(*row)]
        else:
            chosen = [i for (i,) in self._rows("rowid", where, values)]
        if dry_run or not chosen:
            return len(chosen)
        with self._file.reporting():
            db = self._file.writing()
            db.execute("DELETE FROM responses WHERE rowid IN (SELECT value FROM json_each(?))", [json.dumps(chosen)])
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return len(chosen)

    def close(self) -> None:
        """Closes the file; a later use opens it again."""
        self._file.close()

    def _requests(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Yields the fields of every stored request and when it was answered."""
        for key, created, text in self._rows("key, created, fields"):
            if key != _sha256(text):
                raise self._file.corrupt(f"the request stored under {key[:12]}... is not what was written")
            yield json.loads(text), created

    def _rows(self, columns: str, rest: str = "", values: Iterable[object] = ()) -> Iterator[tuple[Any, ...]]:
        with self._file.reporting():
            if (db := self._file.reading()) is not None:
                yield from db.execute(f"SELECT {columns} FROM responses {rest}", list(values))


def _is_whole(key: str, digest: str, response: str, stored_fields: str) -> bool:
    return digest == _sha256(key + response) and key == _sha256(stored_fields)


def _encode(response: Response) -> str:
    """Returns a response as JSON, defaults left out."""
    values = {name: getattr(response, name) for name in _DEFAULTS}
    return json.dumps({name: value for name, value in values.items() if value != _DEFAULTS[name]})


def _decode(text: str) -> Response:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}
    return Response(**cast(Any, values))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
