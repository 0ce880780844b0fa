"""Several datasets side by side, with the average of the rows that are on all of them: the shape of a paper's table."""

from __future__ import annotations

from harness.export import numbers
from harness.export.grid import COVERED, LETTERS, MARKS, Cell, Grid, Head, lines_on_tests, notes_of, score_cell
from harness.export.rows import CORRECTIONS, describe_scores, make_tables, other_titles
from harness.leaderboard.frames import side_by_side
from harness.leaderboard.leaderboard import Average, Entry, Leaderboard

AVERAGE = "Average"


def datasets_grids(board: Leaderboard) -> tuple[Grid, ...]:
    """Returns one table: a group of columns a dataset, the average last, and one row a predictor."""
    tables = make_tables(board)
    covered = not all(table.full_coverage for table in tables)
    others = other_titles(board)
    heads = [Head("Predictor", "name")]
    for table in tables:
        titles = (table.metric_title, *(["Cover."] if covered else []), *others)
        heads += [Head(title, group=table.header.dataset) for title in titles]
    if board.averages is not None:
        heads += [Head(title, group=AVERAGE) for title in (board.metric_title, *others)]
    n_datasets = len(tables)
    lines = [
        (
            Cell(name),
            *(
                cell
                for i, row in enumerate(rows)
                for cell in _cells(row, board.metrics[1:], covered and i < n_datasets)
            ),
        )
        for name, rows in side_by_side(board)
    ]
    return (
        Grid(
            label=board.board,
            title=board.title,
            heads=tuple(heads),
            lines=tuple(lines),
            caption=(
                f"{describe_scores(board)} (± half their width).",
                MARKS,
                LETTERS,
                *([COVERED] if covered else []),
                *describe_averages(board),
                *lines_on_tests(board, tables),
            ),
            signature=board.signature,
            notes=notes_of(tables),
        ),
    )


def describe_averages(board: Leaderboard, correction: str | None = None) -> tuple[str, ...]:
    """Returns what the average is and how it was tested, in sentences; the correction is its own if none is given."""
    averages = board.averages
    if averages is None:
        return ("No average: the primary metrics of the datasets differ.",)
    tested = (
        f", {averages.test_title}, {CORRECTIONS[correction or averages.correction]}" if averages.comparisons else ""
    )
    return (
        f"{AVERAGE}: plain mean over the {len(board.datasets)} datasets, taken as independent{tested}; none for a row "
        "that is missing on one of them.",
    )


def _cells(row: Entry | Average | None, others: tuple[str, ...], covered: bool) -> list[Cell]:
    coverage = [Cell(numbers.coverage(row.coverage) if isinstance(row, Entry) else numbers.MISSING)] if covered else []
    further = [Cell(numbers.metric(name, row.metrics[name]) if row else numbers.MISSING) for name in others]
    return [score_cell(row), *coverage, *further]
