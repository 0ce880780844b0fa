"""The main table of each dataset: predictor, score with interval, ranks, letters, difference to the leader, more."""

from __future__ import annotations

from harness.export.grid import COVERED, MARKS, Cell, Grid, Head, lines_on_tests, notes_of
from harness.export.numbers import level
from harness.export.rows import Row, Table, describe_scores, make_tables, other_titles
from harness.leaderboard.leaderboard import Leaderboard


def main_grids(board: Leaderboard) -> tuple[Grid, ...]:
    """Returns one table a dataset."""
    tables = make_tables(board)
    return tuple(_grid(board, table, alone=len(tables) == 1) for table in tables)


def _grid(board: Leaderboard, table: Table, alone: bool) -> Grid:
    covered = not table.full_coverage
    return Grid(
        label=board.board if alone else f"{board.board}-{table.header.dataset}",
        title=board.title if alone else f"{board.title}: {table.header.dataset}",
        heads=(
            Head("Predictor", "name"),
            Head(f"{table.metric_title} ({level(board.alpha)} interval)"),
            Head("Rank", "centre"),
            Head("Letters", "left"),
            Head("Δ top"),
            Head("p adj"),
            *([Head("Cover.")] if covered else []),
            *(Head(title) for title in other_titles(board)),
        ),
        lines=tuple(_line(row, covered) for row in table.rows),
        caption=(
            f"{describe_scores(board)}.",
            MARKS,
            "Predictors that share a letter are not separable; rank: the places that the tests leave open;",
            "Δ top: points to the best tested predictor, p adj corrected over all pairs.",
            *([COVERED] if covered else []),
            *lines_on_tests(board, [table]),
        ),
        signature=table.header.signature,
        notes=notes_of([table]),
    )


def _line(row: Row, covered: bool) -> tuple[Cell, ...]:
    plain = (row.rank, row.letters, row.to_top, row.p_adjusted, *([row.coverage] if covered else []), *row.others)
    return (Cell(row.predictor), Cell(row.score, row.interval, bold=row.best, top=row.top), *map(Cell, plain))
