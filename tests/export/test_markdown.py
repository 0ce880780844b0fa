"""GitHub Markdown."""

from __future__ import annotations

import re

from harness.export.markdown import to_markdown
from harness.leaderboard.leaderboard import Leaderboard


def _cells(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_marks(small_board: Leaderboard) -> None:
    _, _, *rows = _cells(to_markdown(small_board))
    assert [row[2] for row in rows] == [
        "**61.45** [59.0, 63.9] †", "**61.45** [59.5, 63.4] †", "60.31 [58.3, 62.4] †", "57.12 [54.9, 59.3]", "31.27",
    ]  # fmt: skip
    assert rows[1][:2] == ["1–3", r"graph-net\[layers=2]"]


def test_every_dataset_has_its_table_and_signature(two_boards_in_one: Leaderboard) -> None:
    text = to_markdown(two_boards_in_one)
    for header in two_boards_in_one.datasets:
        assert f"**{header.dataset}**, test" in text
        assert f"Signature: `{header.signature}`" in text
    assert "> **Note:** majority takes no part" in text


def test_hostile_text_makes_no_cell_and_no_html(hostile_board: Leaderboard, hostile_texts: tuple[str, ...]) -> None:
    text = to_markdown(hostile_board)
    rows = _cells(text)
    assert {len(row) for row in rows} == {8 + 2}
    assert len(rows) == 2 + len(hostile_texts)
    assert "<script>" not in re.sub(r"(`+) ?.*? ?\1(?!`)", "", text)
    assert "\x1b" not in text
