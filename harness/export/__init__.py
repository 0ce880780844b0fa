"""Exporters: pure functions from a `Leaderboard` to text. They read and write no file and print nothing.

`every_eval_ever` alone needs the runs behind a board too, and makes several files of it. Percent appears here and
nowhere else. `numbers` decides on digits, `rows` on words, `escape` on what a format allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.errors import UnknownNameError
from harness.export.console import to_console
from harness.export.csvfile import to_csv
from harness.export.jsonfile import read_leaderboard, to_json
from harness.export.latex import to_latex
from harness.export.markdown import to_markdown
from harness.export.pairs import to_pairs_csv, to_pairs_json, to_pairs_latex
from harness.leaderboard.leaderboard import Leaderboard

__all__ = ["EXPORTERS", "RECORDS", "export_leaderboard", "read_leaderboard"]

EXPORTERS: Mapping[str, Callable[[Leaderboard], str]] = MappingProxyType(
    {
        "console": to_console,
        "markdown": to_markdown,
        "csv": to_csv,
        "json": to_json,
        "latex": to_latex,
        "pairs-csv": to_pairs_csv,
        "pairs-json": to_pairs_json,
        "pairs-latex": to_pairs_latex,
    }
)
"""The formats by name."""

RECORDS = "every-eval-ever"
"""The format that is a folder of files, and needs the runs behind a board: see `harness.export.every_eval_ever`."""


def export_leaderboard(board: Leaderboard, to: str) -> str:
    """Returns a leaderboard as text that ends with a newline; the same board gives the same text.

    Args:
        board: what to export.
        to: a key of `EXPORTERS`.

    Raises:
        UnknownNameError: there is no such format.
    """
    if to not in EXPORTERS:
        raise UnknownNameError.of("format", to, (*EXPORTERS, RECORDS), "type: erc-harness export BOARD --to latex")
    return EXPORTERS[to](board)
