"""leaderboard.json: everything a leaderboard holds, for scripts and for rendering it again.

Owns the names and the order of its keys. Scores are fractions. A number that does not exist (NaN) is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, NoReturn, get_type_hints

from harness.bounded import parse_json
from harness.errors import StoreError
from harness.export.numbers import settle
from harness.leaderboard.frames import Records
from harness.leaderboard.leaderboard import Average, DatasetHeader, Entry, Leaderboard, PairComparison, PublishedEntry

_BOARD_KEYS = (
    "board", "title", "signature", "metric", "metric_title", "metrics", "datasets", "scope", "test", "test_title",
    "correction", "alpha", "n_resamples", "seed",
)  # fmt: skip
"""Keys before `headers`, `entries`, `comparisons` and `version`."""


def to_json(board: Leaderboard) -> str:
    """Returns the board as one JSON document; the same board gives the same bytes.

    Keys: those of `Leaderboard`, with `datasets` as a list of names, the dataset headers under `headers`, and the
    signature; `averages` only of a board that has some, `published` and `published_slips` only of one that shows
    published values. Records have the fields of `Entry`, `PairComparison`, `DatasetHeader`, `Averages` and
    `PublishedEntry`. F1 by label is a table of its own.
    """
    names = [header.dataset for header in board.datasets]
    document = {key: names if key == "datasets" else getattr(board, key) for key in _BOARD_KEYS}
    document["headers"] = [asdict(header) for header in board.datasets]
    document["entries"] = [_entry(entry) for entry in board.entries]
    document["comparisons"] = [asdict(pair) for pair in board.comparisons]
    if board.averages:
        document["averages"] = asdict(board.averages) | {"rows": [_entry(row) for row in board.averages.rows]}
    if board.published:
        document["published"] = [_entry(entry) for entry in board.published]
        document["published_slips"] = board.published_slips
    document["version"] = board.version
    return json.dumps(stored(document), indent=1, allow_nan=False) + "\n"  # ASCII: no control sequence survives


def records_to_json(board: str, table: str, records: Records) -> str:
    """Returns {"board", TABLE: [record, ...]} as one JSON document, a number that does not exist as null."""
    return json.dumps(stored({"board": board, table: records.rows}), indent=1, allow_nan=False) + "\n"


def read_leaderboard(text: str) -> Leaderboard:
    """Returns the board of a leaderboard.json; the inverse of `to_json`.

    Raises:
        StoreError: the text is not JSON, or a key is missing, has a wrong type or contradicts another one.
    """
    from pydantic import TypeAdapter, ValidationError

    document = _parse(text)
    headers = document.get("headers")
    board = {
        **document,
        "datasets": _with_nan(headers, DatasetHeader),
        "entries": _with_nan(document.get("entries"), Entry),
        "comparisons": _with_nan(document.get("comparisons"), PairComparison),
    }
    if isinstance(averages := document.get("averages"), dict):
        board["averages"] = averages | {"rows": _with_nan(averages.get("rows"), Average)}
    try:
        # Through JSON, where strict means: a list for a tuple, but no string for a number.
        leaderboard = TypeAdapter(Leaderboard).validate_json(json.dumps(board), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        key = "headers" + place.removeprefix("datasets") if place.startswith("datasets") else place
        given = "" if first["type"] == "missing" else f", got {_short(first['input'])}"
        _fail(f"key {key!r}: {first['msg']}{given}")
    _check(leaderboard, document)
    return leaderboard


def _entry(entry: Entry | Average | PublishedEntry) -> dict[str, Any]:
    record = {field.name: getattr(entry, field.name) for field in fields(entry)}
    return record | {"metrics": dict(sorted(entry.metrics.items()))}


def stored(value: Any) -> Any:
    """Returns a value with its numbers as they are stored: ten digits, nothing for what does not exist."""
    if isinstance(value, Mapping):
        return {key: stored(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [stored(item) for item in value]
    if isinstance(value, float):
        return settle(value) if math.isfinite(value) else None
    return value


def _parse(text: str) -> dict[str, Any]:
    try:
        document = parse_json(text)
    except json.JSONDecodeError as error:
        _fail(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}")
    except ValueError as error:
        _fail(str(error))
    if not isinstance(document, dict):
        _fail(f"expected one JSON object, got {_short(document)}")
    return document


def _with_nan(records: Any, kind: type) -> Any:
    """Returns records with NaN where the stored null stands for a number; what is no record stays, to be refused."""
    hints = get_type_hints(kind)

    def restore(key: str, value: Any) -> Any:
        if value is None and hints.get(key) is float:
            return math.nan
        if key == "metrics" and isinstance(value, dict):
            return {name: math.nan if score is None else score for name, score in value.items()}
        return value

    if not isinstance(records, list):
        return records
    return [{k: restore(k, v) for k, v in record.items()} if isinstance(record, dict) else record for record in records]


def _check(board: Leaderboard, document: dict[str, Any]) -> None:
    names = [header.dataset for header in board.datasets]
    if document.get("datasets") != names:
        _fail(f"key 'datasets' is {_short(document.get('datasets'))}, but the headers are of {names!r}")
    if document.get("signature") != board.signature:
        _fail(f"key 'signature' is {_short(document.get('signature'))}, but the headers give {_short(board.signature)}")
    seen: set[tuple[str, str]] = set()
    called: set[tuple[str, str]] = set()
    for entry in board.entries:
        key = (entry.dataset, entry.predictor)
        if entry.dataset not in names:
            _fail(f"entry {entry.predictor!r} is on {entry.dataset!r}, which has no header")
        if key in seen or (entry.dataset, entry.name) in called:
            _fail(f"entry {entry.name!r} on {entry.dataset!r} is there twice")
        seen.add(key)
        called.add((entry.dataset, entry.name))
    for published in board.published:
        if published.dataset not in names:
            _fail(f"published value of {published.name!r} is on {published.dataset!r}, which has no header")
    for pair in board.comparisons:
        for predictor in (pair.a, pair.b):
            if (pair.dataset, predictor) not in seen:
                _fail(f"a comparison on {pair.dataset!r} names {predictor!r}, which has no entry there")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _fail(problem: str) -> NoReturn:
    raise StoreError(f"corrupt leaderboard.json: {problem}; type: erc-harness leaderboard build BOARD")
