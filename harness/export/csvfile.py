"""A leaderboard for a spreadsheet or a data frame: CSV, one row an entry, numbers in full and as fractions.

Columns:
    board, dataset, split: where the entry stands.
    predictor: row label.
    title: what the board calls the row; empty if it gives no title.
    metric: name of the primary metric.
    score: primary metric, mean over seeds.
    se, se_dialogue, se_seed, se_interaction: standard error of the score, its parts from dialogues and from seeds, and
        what these two share.
    low, high: ends of the (1 - alpha) interval.
    rank_low, rank_high: ranks that the tests leave open; empty if untested.
    letters: entries that share a letter are not separable; empty if untested.
    top, best: `true` or `false`: not separable from the best; highest score, ties included.
    to_top, to_top_low, to_top_high, to_top_p_adjusted: score minus that of the leader, the best tested entry, with
        its interval and corrected p-value; the last three are empty for the leader itself.
    to_top_detectable: smallest true difference to the leader that the corrected test finds with 80% power.
    n_seeds: number of runs behind the entry.
    coverage: share of targets with a usable label.
    context, modalities: what the predictor sees; modalities joined with `+`.
    metric.NAME: every metric of the board, the primary one first.
    scope, test, correction, alpha, n_resamples, seed: how the board was tested; no resamples for a closed form.
    unit, n_utterances, n_dialogues, n_clusters, effective_clusters, n_pairs: what the tests of the dataset rest on.
    critical_value, median_pair_se, detectable, detectable_adjusted: what they can find, see `DatasetHeader`.
    signature: what another table must share to be compared with this row.

A number that does not exist is an empty cell. Comparisons of pairs: `pairs`.
"""

from __future__ import annotations

import csv
import math
from io import StringIO

from harness.export.escape import escape_csv
from harness.export.numbers import settle
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard

ENTRY = (
    "score", "se", "se_dialogue", "se_seed", "se_interaction", "low", "high", "rank_low", "rank_high", "letters", "top",
    "best", "to_top", "to_top_low", "to_top_high", "to_top_p_adjusted", "to_top_detectable", "n_seeds", "coverage",
    "context",
)  # fmt: skip
"""Fields of an entry, under their own names."""

BOARD = ("scope", "test", "correction", "alpha", "n_resamples", "seed")
"""Fields of the board."""

HEADER = (
    "unit", "n_utterances", "n_dialogues", "n_clusters", "effective_clusters", "n_pairs", "critical_value",
    "median_pair_se", "detectable", "detectable_adjusted", "signature",
)  # fmt: skip
"""Fields of the dataset."""

COLUMNS = ("board", "dataset", "split", "predictor", "title", "metric", *ENTRY, "modalities")
"""Columns before the metrics; `BOARD` and `HEADER` follow them."""


def to_csv(board: Leaderboard) -> str:
    """Returns the board as CSV with a header line; the columns are listed in this module's docstring."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    metrics = (escape_csv(f"metric.{name}") for name in board.metrics)
    writer.writerow([*COLUMNS, *metrics, *BOARD, *HEADER])
    for header in board.datasets:
        for entry in board.of_dataset(header.dataset):
            writer.writerow([csv_cell(value) for value in _values(entry, header, board)])
    return file.getvalue()


def _values(entry: Entry, header: DatasetHeader, board: Leaderboard) -> list[object]:
    return [
        board.board,
        entry.dataset,
        header.split,
        entry.predictor,
        entry.title,
        header.metric,
        *(getattr(entry, name) for name in ENTRY),
        "+".join(entry.modalities),
        *(entry.metrics.get(name) for name in board.metrics),
        *(getattr(board, name) for name in BOARD),
        *(getattr(header, name) for name in HEADER),
    ]


def csv_cell(value: object) -> str:
    """Returns a value as a cell: numbers in full, nothing for what does not exist."""
    if isinstance(value, str):
        return escape_csv(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(settle(value)) if math.isfinite(value) else ""
    return "" if value is None else str(value)
