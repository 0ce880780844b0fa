"""Exporters: pure functions from a `Leaderboard` to text. They read and write no file and print nothing.

A table is exported as records (CSV, JSON: `harness.leaderboard.frames`) or for people (LaTeX, Markdown, console:
`grid`); `every_eval_ever` alone needs the runs behind a board too, and makes several files of it.
Percent appears here and nowhere else. `numbers` decides on digits, `rows` on words, `escape` on what a format allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.errors import ConfigError, UnknownNameError
from harness.export.ablation import ablation_grids
from harness.export.console import grid_to_console, to_console
from harness.export.csvfile import to_csv
from harness.export.datasets import datasets_grids
from harness.export.grid import Grid
from harness.export.jsonfile import read_leaderboard, records_to_json, to_json
from harness.export.labels import labels_grids
from harness.export.latex import grid_to_latex, published_to_latex
from harness.export.main import main_grids
from harness.export.markdown import grid_to_markdown, to_markdown
from harness.export.pairs import pairs_grids
from harness.leaderboard.frames import TABLES, make_records
from harness.leaderboard.leaderboard import Leaderboard

__all__ = ["FORMATS", "RECORDS", "TABLES", "export_leaderboard", "read_leaderboard"]

GRIDS: Mapping[str, Callable[[Leaderboard], tuple[Grid, ...]]] = MappingProxyType(
    {"main": main_grids, "datasets": datasets_grids, "labels": labels_grids, "pairs": pairs_grids}
)
"""Tables for people by name; an ablation needs a full system too."""

FORMATS = ("console", "markdown", "csv", "json", "latex")

WHOLE: Mapping[str, Callable[[Leaderboard], str]] = MappingProxyType(
    {"console": to_console, "markdown": to_markdown, "json": to_json}
)
"""Formats in which the main table comes with all that a board holds."""

RECORDS = "every-eval-ever"
"""The format that is a folder of files, and needs the runs behind a board: see `harness.export.every_eval_ever`."""


def export_leaderboard(
    board: Leaderboard, to: str, table: str = "main", *, full: str | None = None, siunitx: bool = False
) -> str:
    """Returns a table of a leaderboard as text that ends with a newline; the same board gives the same text.

    Args:
        board: what to export; for table "labels" built with `labels=True`.
        to: one of `FORMATS`.
        table: one of `TABLES`: each dataset, datasets side by side, F1 by label, rows against the full system, or all
            pairs.
        full: for table "ablation", what tables call the full system.
        siunitx: for LaTeX, whether siunitx aligns the numbers.

    Raises:
        UnknownNameError: there is no such format, table or row.
        ConfigError: the board does not hold what the table shows, or an option does not fit.
    """
    if to not in FORMATS:
        raise UnknownNameError.of("format", to, (*FORMATS, RECORDS), "type: erc-harness export BOARD --to latex")
    if siunitx and to != "latex":
        raise ConfigError(f"siunitx is a package of LaTeX, and the format is {to!r}; add --to latex")
    records = make_records(board, table, full)
    if table == "main" and to in WHOLE:
        return WHOLE[to](board)
    if to == "csv":
        return to_csv(records)
    if to == "json":
        return records_to_json(board.board, table, records)
    grids = ablation_grids(board, full) if table == "ablation" else GRIDS[table](board)
    if to == "latex":
        papers = published_to_latex(board) if table == "main" else ""
        return "\n".join(
            [*(grid_to_latex(grid, board.version, siunitx) for grid in grids), *([papers] if papers else [])]
        )
    return "\n".join(map(grid_to_markdown if to == "markdown" else grid_to_console, grids))
