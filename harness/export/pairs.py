"""All tested pairs of a leaderboard: long tables for scripts (CSV, JSON), matrices for a paper (LaTeX).

CSV and JSON have one record a pair, a before b in the order of the table, numbers in full and as fractions:
    board, dataset, split, metric: what was compared.
    a, b: the two predictors.
    difference, se, low, high: score of a minus score of b, its standard error, and the ends of its (1 - alpha)
        interval, which is of this one pair and not widened for the others.
    p_value, p_adjusted: of no difference; the second is corrected over all pairs of the dataset.
    rejected: whether the corrected test calls the two different.
    scope, unit, test, correction, alpha, n_resamples, seed: how.
    signature: what another table must share to be compared with this one.

The LaTeX layout is in `templates/pairs.tex.j2`; this module prepares its cells, every one of them escaped here.
"""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

from harness.export.csvfile import csv_cell
from harness.export.jsonfile import stored
from harness.export.latex import latex_digits, latex_label, latex_name, latex_name_column, latex_template
from harness.export.numbers import interval, level, p_value, points
from harness.export.rows import Table, describe_tests, make_tables
from harness.leaderboard.leaderboard import Leaderboard, PairComparison

COLUMNS = (
    "board", "dataset", "split", "metric", "a", "b", "difference", "se", "low", "high", "p_value", "p_adjusted",
    "rejected", "scope", "unit", "test", "correction", "alpha", "n_resamples", "seed", "signature",
)  # fmt: skip
"""Columns of the CSV, keys of a record in the JSON."""


def to_pairs_csv(board: Leaderboard) -> str:
    """Returns all tested pairs as CSV with a header line; the columns are listed in this module's docstring."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in _records(board):
        writer.writerow([csv_cell(record[name]) for name in COLUMNS])
    return file.getvalue()


def to_pairs_json(board: Leaderboard) -> str:
    """Returns {"board", "pairs": [record, ...]} as one JSON document; keys as the columns of the CSV."""
    document = {"board": board.board, "pairs": _records(board)}
    return json.dumps(stored(document), indent=1, allow_nan=False) + "\n"


def to_pairs_latex(board: Leaderboard) -> str:
    """Returns one `table` environment a dataset: differences above the diagonal, p-values below it."""
    return latex_template("pairs.tex.j2").render(
        board=board,
        level=level(board.alpha),
        tests=describe_tests(board),
        matrices=[_matrix(board, table) for table in make_tables(board)],
    )


def _records(board: Leaderboard) -> list[dict[str, Any]]:
    headers = {header.dataset: header for header in board.datasets}
    records = []
    for pair in board.comparisons:
        header = headers[pair.dataset]
        of_pair = {name: getattr(pair, name) for name in ("a", "b", "difference", "se", "low", "high")}
        of_pair |= {"p_value": pair.p_value, "p_adjusted": pair.p_adjusted, "rejected": pair.p_adjusted <= board.alpha}
        of_data = {name: getattr(header, name) for name in ("dataset", "split", "metric", "unit", "signature")}
        of_board = {name: getattr(board, name) for name in COLUMNS if name not in of_pair | of_data}
        record = of_board | of_data | of_pair
        records.append({name: record[name] for name in COLUMNS})
    return records


def _matrix(board: Leaderboard, table: Table) -> dict[str, Any]:
    """Returns the cells of one dataset: predictors numbered in the order of the table, untested ones left out."""
    pairs = {(pair.a, pair.b): pair for pair in board.comparisons if pair.dataset == table.header.dataset}
    tested = {name for pair in pairs for name in pair}
    entries = [entry for entry in board.of_dataset(table.header.dataset) if entry.predictor in tested]
    names = [entry.name for entry in entries]
    lines = [
        [
            str(i),
            latex_name(row.name, names),
            *(_cell(pairs, row.predictor, column.predictor, board.alpha) for column in entries),
        ]
        for i, row in enumerate(entries, start=1)
    ]
    return {
        "header": table.header,
        "metric": table.metric_title,
        "label": latex_label(f"{board.board}-{table.header.dataset}-pairs"),
        "columns": f"r{latex_name_column(names)}{'c' * len(names)}",
        "head": ["", "Predictor", *map(str, range(1, len(names) + 1))],
        "lines": lines,
        "power": table.power,
    }


def _cell(pairs: dict[tuple[str, str], PairComparison], row: str, column: str, alpha: float) -> str:
    """Returns the difference with its interval above the diagonal, corrected and plain p below it."""
    above = (row, column) in pairs
    pair = pairs.get((row, column) if above else (column, row))
    if pair is None:
        return ""
    if above:
        main, small = points(pair.difference), interval(pair.low, pair.high)
    else:
        main, small = p_value(pair.p_adjusted), f"({p_value(pair.p_value)})"
    shown = latex_digits(main)
    marked = rf"\textbf{{{shown}}}" if pair.p_adjusted <= alpha else shown
    return rf"\shortstack{{{marked}\\{{\tiny {latex_digits(small)}}}}}"
