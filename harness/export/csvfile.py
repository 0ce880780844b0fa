"""A leaderboard for a spreadsheet or a data frame: CSV, one row an entry, numbers in full and as fractions.

Columns:
    board, dataset, split: where the entry stands.
    predictor: row label.
    metric: name of the primary metric.
    score: primary metric, mean over seeds.
    se, se_dialogue, se_seed: standard error of the score, and its parts from dialogues and from seeds.
    low, high: ends of the (1 - alpha) interval.
    rank_low, rank_high: ranks that the tests leave open; empty if untested.
    letters: entries that share a letter are not separable; empty if untested.
    top, best: `true` or `false`: not separable from the best; highest score, ties included.
    n_seeds: number of runs behind the entry.
    coverage: share of targets with a usable label.
    context, modalities: what the predictor sees; modalities joined with `+`.
    metric.NAME: every metric of the board, the primary one first.
    signature: what another table must share to be compared with this row.

A number that does not exist is an empty cell. Comparisons of pairs are in leaderboard.json only.
"""

from __future__ import annotations

import csv
import math
from io import StringIO

from harness.export.escape import escape_csv
from harness.export.numbers import settle
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard

COLUMNS = (
    "board", "dataset", "split", "predictor", "metric", "score", "se", "se_dialogue", "se_seed", "low", "high",
    "rank_low", "rank_high", "letters", "top", "best", "n_seeds", "coverage", "context", "modalities",
)  # fmt: skip
"""Columns before the metrics."""


def to_csv(board: Leaderboard) -> str:
    """Returns the board as CSV with a header line; the columns are listed in this module's docstring."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, *(escape_csv(f"metric.{name}") for name in board.metrics), "signature"])
    for header in board.datasets:
        for entry in board.of_dataset(header.dataset):
            writer.writerow([_cell(value) for value in _values(entry, header, board)])
    return file.getvalue()


def _values(entry: Entry, header: DatasetHeader, board: Leaderboard) -> list[object]:
    return [
        board.board, entry.dataset, header.split, entry.predictor, board.metric, entry.score, entry.se,
        entry.se_dialogue, entry.se_seed, entry.low, entry.high, entry.rank_low, entry.rank_high, entry.letters,
        entry.top, entry.best, entry.n_seeds, entry.coverage, entry.context, "+".join(entry.modalities),
        *(entry.metrics.get(name) for name in board.metrics), header.signature,
    ]  # fmt: skip


def _cell(value: object) -> str:
    if isinstance(value, str):
        return escape_csv(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(settle(value)) if math.isfinite(value) else ""
    return "" if value is None else str(value)
