"""The door to all formats, and golden files of each."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UnknownNameError
from harness.export import EXPORTERS, export_leaderboard, read_leaderboard
from harness.leaderboard.leaderboard import Leaderboard

GOLDEN = Path(__file__).parent.parent / "golden"
SUFFIX = {
    "console": "txt", "markdown": "md", "csv": "csv", "json": "json", "latex": "tex",
    "pairs-csv": "pairs.csv", "pairs-json": "pairs.json", "pairs-latex": "pairs.tex",
}  # fmt: skip


def test_every_format_has_a_golden_file() -> None:
    assert SUFFIX.keys() == EXPORTERS.keys()


@pytest.mark.parametrize("to", SUFFIX)
def test_one_dataset_as_in_the_golden_file(small_board: Leaderboard, to: str) -> None:
    _compare(export_leaderboard(small_board, to), GOLDEN / f"one_dataset.{SUFFIX[to]}")


@pytest.mark.parametrize("to", SUFFIX)
def test_two_datasets_as_in_the_golden_file(two_boards_in_one: Leaderboard, to: str) -> None:
    _compare(export_leaderboard(two_boards_in_one, to), GOLDEN / f"two_datasets.{SUFFIX[to]}")


@pytest.mark.parametrize("to", SUFFIX)
def test_a_stored_board_is_rendered_alike(two_boards_in_one: Leaderboard, to: str) -> None:
    stored = read_leaderboard(export_leaderboard(two_boards_in_one, "json"))
    assert export_leaderboard(stored, to) == export_leaderboard(two_boards_in_one, to)


@pytest.mark.parametrize("to", SUFFIX)
def test_text_is_clean(hostile_board: Leaderboard, to: str) -> None:
    text = export_leaderboard(hostile_board, to)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert text.encode()
    assert not set(text) & {"\r", "\t", "\x1b", "\x9b", "\u202e"}


@pytest.mark.parametrize("to", SUFFIX)
def test_a_title_stands_for_the_label_in_tables_and_beside_it_in_data(two_boards_in_one: Leaderboard, to: str) -> None:
    titled = tuple(
        replace(entry, title="some shown") if entry.predictor.startswith("few-shot") else entry
        for entry in two_boards_in_one.entries
    )
    text = export_leaderboard(replace(two_boards_in_one, entries=titled), to)
    assert ("some shown" in text) == (to not in ("pairs-csv", "pairs-json"))
    assert ("few-shot[" in text) == (to in ("csv", "json", "pairs-csv", "pairs-json"))


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"'latx'; did you mean 'latex'\?"):
        export_leaderboard(None, "latx")  # type: ignore[arg-type]


def _compare(text: str, golden: Path) -> None:
    """Compares with a golden file; ERC_WRITE_GOLDEN=1 writes it instead, to be read before it is committed."""
    if os.environ.get("ERC_WRITE_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
