"""The door to all formats, and golden files of each."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, UnknownNameError
from harness.export import FORMATS, export_leaderboard, read_leaderboard
from harness.leaderboard.frames import TABLES
from harness.leaderboard.leaderboard import Leaderboard

GOLDEN = Path(__file__).parent.parent / "golden"
SUFFIX = {"console": "txt", "markdown": "md", "csv": "csv", "json": "json", "latex": "tex"}
FULL = {"ablation": "dialogue-rnn"}

EVERY = [(table, to) for table in TABLES for to in FORMATS]
OF_ONE = [(table, to) for table in ("main", "pairs") for to in FORMATS]
"""Of a board without label scores, averages and pairs enough."""


def export(board: Leaderboard, to: str, table: str) -> str:
    return export_leaderboard(board, to, table, full=FULL.get(table))


def golden(board: str, to: str, table: str) -> Path:
    return GOLDEN / f"{board}.{'' if table == 'main' else f'{table}.'}{SUFFIX[to]}"


@pytest.mark.parametrize(("table", "to"), OF_ONE)
def test_one_dataset_as_in_the_golden_file(small_board: Leaderboard, table: str, to: str) -> None:
    _compare(export(small_board, to, table), golden("one_dataset", to, table))


@pytest.mark.parametrize(("table", "to"), EVERY)
def test_two_datasets_as_in_the_golden_file(two_boards_in_one: Leaderboard, table: str, to: str) -> None:
    _compare(export(two_boards_in_one, to, table), golden("two_datasets", to, table))


@pytest.mark.parametrize(("table", "to"), EVERY)
def test_a_stored_board_is_rendered_alike(two_boards_in_one: Leaderboard, table: str, to: str) -> None:
    pairs = tuple(replace(pair, p_value=round(pair.p_value, 6)) for pair in two_boards_in_one.comparisons)
    board = replace(
        two_boards_in_one, comparisons=pairs
    )  # p-values that ten digits hold, since some are corrected anew
    stored = read_leaderboard(export_leaderboard(board, "json"))
    if table == "labels":
        with pytest.raises(ConfigError, match="holds no F1 by label; build it from its runs"):
            export(stored, to, table)
    else:
        assert export(stored, to, table) == export(board, to, table)


@pytest.mark.parametrize(("table", "to"), EVERY)
def test_hostile_text_does_nothing_in_any_table(
    hostile_datasets: Leaderboard, hostile_texts: tuple[str, ...], table: str, to: str
) -> None:
    text = export_leaderboard(hostile_datasets, to, table, full=hostile_texts[0] if table in FULL else None)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert text.encode()
    assert not set(text) & {"\r", "\t", "\x1b", "\x9b", "\u202e"}
    if to == "csv":
        cells = [cell for row in csv.reader(StringIO(text, newline=""), strict=True) for cell in row]
        assert [cell for cell in cells if cell.startswith(tuple("=+-@")) and not _is_number(cell)] == []
    elif to == "markdown":
        outside = re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
        assert not re.search(r"<script|(?<!\\)\[x\]\(|(?<!\\)\$y", outside)
    elif to == "latex":
        typeset = re.sub("(?m)^%.*", "", text)
        assert r"\input" not in typeset
        assert typeset.count(r"\begin{table") == typeset.count(r"\end{table") > 0


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("table", "to"), [(table, to) for table in ("main", "labels", "pairs") for to in FORMATS])
def test_a_title_stands_for_the_label_in_tables_and_beside_it_in_data(
    two_boards_in_one: Leaderboard, table: str, to: str
) -> None:
    titled = tuple(
        replace(entry, title="some shown") if entry.predictor.startswith("few-shot") else entry
        for entry in two_boards_in_one.entries
    )
    text = export_leaderboard(replace(two_boards_in_one, entries=titled, averages=None), to, table)
    records = to in ("csv", "json")
    assert ("some shown" in text) == (not records or table != "pairs")
    assert ("few-shot[" in text) == records


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"'latx'; did you mean 'latex'\?"):
        export_leaderboard(None, "latx")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("to", "table", "options", "error", "said"),
    [
        ("latex", "label", {}, UnknownNameError, r"unknown table 'label'; did you mean 'labels'\?"),
        ("csv", "main", {"siunitx": True}, ConfigError, "siunitx is a package of LaTeX.*add --to latex"),
        ("csv", "main", {"full": "majority"}, ConfigError, "table 'main' has no full system"),
        ("csv", "ablation", {}, ConfigError, r"needs the row of the full system; add --full ROW \(rows: "),
        ("csv", "ablation", {"full": "majorty"}, UnknownNameError, "unknown row 'majorty'; did you mean 'majority'"),
        ("latex", "datasets", {}, ConfigError, "has one dataset.*name more boards"),
        ("csv", "datasets", {}, ConfigError, "has one dataset.*name more boards"),
        ("csv", "labels", {}, ConfigError, "holds no F1 by label"),
    ],
)
def test_what_a_board_cannot_show_is_said_on_one_line(
    small_board: Leaderboard, to: str, table: str, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        export_leaderboard(small_board, to, table, **options)
    assert "\n" not in str(caught.value)


def _compare(text: str, golden: Path) -> None:
    """Compares with a golden file; ERC_WRITE_GOLDEN=1 writes it instead, to be read before it is committed."""
    if os.environ.get("ERC_WRITE_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
