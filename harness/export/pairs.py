"""All tested pairs of a dataset as a matrix: differences above the diagonal, p-values below it."""

from __future__ import annotations

from harness.export.grid import POWER, Cell, Grid, Head
from harness.export.numbers import interval, level, p_value, points
from harness.export.rows import Table, describe_tests, make_tables
from harness.leaderboard.leaderboard import Leaderboard, PairComparison


def pairs_grids(board: Leaderboard) -> tuple[Grid, ...]:
    """Returns one matrix a dataset."""
    return tuple(_grid(board, table) for table in make_tables(board))


def _grid(board: Leaderboard, table: Table) -> Grid:
    """Returns the matrix of one dataset: predictors numbered in the order of the table, untested ones left out."""
    header = table.header
    pairs = {(pair.a, pair.b): pair for pair in board.comparisons if pair.dataset == header.dataset}
    tested = {name for pair in pairs for name in pair}
    entries = [entry for entry in board.of_dataset(header.dataset) if entry.predictor in tested]
    return Grid(
        label=f"{board.board}-{header.dataset}-pairs",
        title=f"{board.title}: all tested pairs on {header.dataset}",
        short_title=f"{board.title}: pairs",
        heads=(
            Head(""),
            Head("Predictor", "name"),
            *(Head(str(i), "centre") for i in range(1, len(entries) + 1)),
        ),
        lines=tuple(
            (
                Cell(str(i)),
                Cell(row.name),
                *(_cell(pairs, row.predictor, column.predictor, board.alpha) for column in entries),
            )
            for i, row in enumerate(entries, start=1)
        ),
        caption=(
            f"Above the diagonal: points of {table.metric_title}, row minus column, with the {level(board.alpha)} "
            "interval of this one pair.",
            "Below: p-value corrected over all pairs, and in brackets without correction.",
            f"Bold: different at α = {board.alpha:g} after the correction.",
            f"{describe_tests(board)}.",
            f"{table.power}.",
            POWER,
        ),
        signature=header.signature,
        stacked=True,
    )


def _cell(pairs: dict[tuple[str, str], PairComparison], row: str, column: str, alpha: float) -> Cell:
    """Returns the difference with its interval above the diagonal, corrected and plain p below it."""
    above = (row, column) in pairs
    pair = pairs.get((row, column) if above else (column, row))
    if pair is None:
        return Cell()
    different = pair.p_adjusted <= alpha
    if above:
        return Cell(points(pair.difference), interval(pair.low, pair.high), bold=different)
    return Cell(p_value(pair.p_adjusted), f"({p_value(pair.p_value)})", bold=different)
