"""F1 of each label, a column a label, one table a dataset. Intervals and letters are in the records."""

from __future__ import annotations

from harness.export.grid import Cell, Grid, Head, notes_of
from harness.export.numbers import MISSING, percent
from harness.export.rows import CORRECTIONS, Table, describe_tests, make_tables
from harness.leaderboard.leaderboard import LabelScore, Leaderboard


def labels_grids(board: Leaderboard) -> tuple[Grid, ...]:
    """Returns one table a dataset, of a board that was built with its label scores."""
    return tuple(_grid(board, table) for table in make_tables(board))


def _grid(board: Leaderboard, table: Table) -> Grid:
    header = table.header
    scores = {(s.predictor, s.label): s for s in board.label_scores if s.dataset == header.dataset}
    n_gold = {score.label: score.n_utterances for score in scores.values()}
    entries = board.of_dataset(header.dataset)
    correction = CORRECTIONS.get(board.correction, board.correction)
    return Grid(
        label=f"{board.board}-{header.dataset}-labels",
        title=f"{board.title}: F1 by label on {header.dataset}",
        short_title=f"{board.title}: labels",
        heads=(Head("Predictor", "name"), *(Head(f"{label} ({n_gold.get(label, 0):,})") for label in header.labels)),
        lines=tuple(
            (Cell(entry.name), *(_cell(scores.get((entry.predictor, label))) for label in header.labels))
            for entry in entries
        ),
        caption=(
            f"F1 in percent{', mean over seeds' if any(e.n_seeds > 1 for e in entries) else ''}; in brackets the gold "
            "utterances with the label.",
            "Bold: highest of its column, ties included. Underlined: not separable from the best of its column.",
            f"{describe_tests(board)}.",
            f"Each label is a family of its own: {correction} over its pairs, none over labels.",
            f"Data: {header.dataset} {header.split}, {table.size}.",
        ),
        signature=header.signature,
        notes=notes_of([table]),
    )


def _cell(score: LabelScore | None) -> Cell:
    return Cell(MISSING) if score is None else Cell(percent(score.f1), bold=score.best, top=score.top)
