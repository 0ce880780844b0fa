"""A leaderboard as flat records, for CSV, JSON and pandas.

Scores are fractions, what does not exist is None. `harness.leaderboard.columns` says what each column holds. Knows no
format of files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError, UnknownNameError
from harness.leaderboard.ablation import make_ablation
from harness.leaderboard.columns import (
    ABLATION,
    DATASETS_AFTER,
    DATASETS_BEFORE,
    EVERY_METRIC,
    LABELS,
    MAIN,
    PAIRS,
    SIDE,
    Column,
)
from harness.leaderboard.leaderboard import Average, DatasetHeader, Entry, Leaderboard

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Records:
    """A table of a board, one record a row."""

    columns: tuple[Column, ...]
    """In order, with their real names."""
    rows: tuple[Row, ...]


def make_records(board: Leaderboard, table: str = "main", full: str | None = None) -> Records:
    """Returns a table of a board as records; arguments and errors as of `Leaderboard.to_frame`."""
    if table not in TABLES:
        raise UnknownNameError.of("table", table, TABLES)
    if table == "ablation":
        return _ablation(board, full)
    if full is not None:
        raise ConfigError(f"full is {full!r}, but table {table!r} has no full system; ask for table 'ablation'")
    return TABLES[table](board)


def make_frame(board: Leaderboard, table: str = "main", full: str | None = None) -> pd.DataFrame:
    """Returns a table of a board as a pandas frame; arguments and errors as of `Leaderboard.to_frame`."""
    import pandas as pd

    records = make_records(board, table, full)
    kinds = {"text": "object", "number": "float64", "count": "Int64", "flag": "boolean"}
    columns = {column.name: [row[column.name] for row in records.rows] for column in records.columns}
    frame = pd.DataFrame(columns)
    return frame.astype({column.name: kinds[column.kind] for column in records.columns})


def _main(board: Leaderboard) -> Records:
    metrics = tuple(Column(f"metric.{name}", "number", EVERY_METRIC.about) for name in board.metrics)
    columns = tuple(own for column in MAIN for own in (metrics if column is EVERY_METRIC else (column,)))
    rows = []
    for header in board.datasets:
        for entry in board.of_dataset(header.dataset):
            own: Row = {f"metric.{name}": entry.metrics.get(name) for name in board.metrics}
            own |= {"modalities": "+".join(entry.modalities)}
            rows.append(_record(columns, own, entry, header, board))
    return Records(columns, tuple(rows))


def _pairs(board: Leaderboard) -> Records:
    headers = _headers(board)
    rows = [
        _record(PAIRS, {"rejected": pair.p_adjusted <= board.alpha}, pair, headers[pair.dataset], board)
        for pair in board.comparisons
    ]
    return Records(PAIRS, tuple(rows))


def _labels(board: Leaderboard) -> Records:
    if not board.label_scores:
        raise ConfigError(
            f"board {board.board!r} holds no F1 by label; build it from its runs: erc-harness export BOARD --table "
            "labels, or build_leaderboard(..., labels=True)"
        )
    headers = _headers(board)
    entries = {(entry.dataset, entry.predictor): entry for entry in board.entries}
    rows = [
        _record(LABELS, score, entries[score.dataset, score.predictor], headers[score.dataset], board)
        for score in board.label_scores
    ]
    return Records(LABELS, tuple(rows))


def _ablation(board: Leaderboard, full: str | None = None) -> Records:
    ablation, headers = make_ablation(board, full), _headers(board)
    rows = []
    for variant in ablation.variants:
        own: Row = {"full": ablation.full, "correction": ablation.correction}
        if not variant.dataset and board.averages is not None:
            own |= {"test": board.averages.test, "metric": board.metric, "signature": board.signature}
        rows.append(_record(ABLATION, own, variant, headers.get(variant.dataset, {}), board))
    return Records(ABLATION, tuple(rows))


def _datasets(board: Leaderboard) -> Records:
    if len(board.datasets) < 2:
        raise ConfigError(
            f"board {board.board!r} has one dataset, which has nothing to stand beside; name more boards: erc-harness "
            "export BOARD BOARD --table datasets"
        )
    places = [header.dataset for header in board.datasets] + (["average"] if board.averages else [])
    side = {
        place: tuple(
            Column(name, column.kind, column.about)
            for column in SIDE
            for name in _side_names(place, column, board.metrics[1:])
        )
        for place in places
    }
    columns = (*DATASETS_BEFORE, *(column for place in places for column in side[place]), *DATASETS_AFTER)
    rows = []
    for name, cells in side_by_side(board):
        own: Row = {"predictor": name, "signature": board.signature}
        for place, cell in zip(places, cells, strict=True):
            own |= dict.fromkeys(column.name for column in side[place])
            if cell is not None:
                own |= {f"{place}.{key}": getattr(cell, key) for key in ("score", "low", "high", "letters", "top")}
                own |= {f"{place}.metric.{metric}": cell.metrics.get(metric) for metric in board.metrics[1:]}
        rows.append(_record(columns, own, board))
    return Records(columns, tuple(rows))


def _side_names(place: str, column: Column, metrics: Sequence[str]) -> list[str]:
    """Returns the real names of a column of `SIDE`, one for each further metric if it speaks of those."""
    name = column.name.replace("DATASET", place, 1)
    return [name.replace("NAME", metric) for metric in metrics] if name.endswith("NAME") else [name]


def side_by_side(board: Leaderboard) -> list[tuple[str, tuple[Entry | Average | None, ...]]]:
    """Returns each row of a board by what tables call it, with its entry on each dataset and then its average, if any.

    Rows with an average stand first, best first; the others follow in the order of the first dataset, who is not there
    in the order of the next.
    """
    by_place: list[dict[str, Entry | Average]] = [
        {entry.name: entry for entry in board.of_dataset(header.dataset)} for header in board.datasets
    ]
    averages = {row.name: row for row in board.averages.rows} if board.averages else {}
    if board.averages:
        by_place.append(dict(averages))
    names = dict.fromkeys([*averages, *(name for rows in by_place for name in rows)])
    return [(name, tuple(rows.get(name) for rows in by_place)) for name in names]


def _headers(board: Leaderboard) -> Mapping[str, DatasetHeader]:
    return {header.dataset: header for header in board.datasets}


def _record(columns: Sequence[Column], *sources: Any) -> Row:
    """Returns a value for each column, from the first source that has it: a record, or a mapping."""
    found: Row = {}
    for source in reversed(sources):
        found |= source if isinstance(source, Mapping) else {name: getattr(source, name) for name in source.__slots__}
    return {column.name: _existing(found[column.name]) for column in columns}


def _existing(value: Any) -> Any:
    """Returns a value; None for NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


TABLES: Mapping[str, Callable[[Leaderboard], Records]] = MappingProxyType(
    {"main": _main, "datasets": _datasets, "labels": _labels, "ablation": _ablation, "pairs": _pairs}
)
"""The tables by name."""
