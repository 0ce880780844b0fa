"""Plain text for a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.export.console import to_console
from harness.leaderboard.leaderboard import Leaderboard


def _table(text: str) -> list[str]:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Rank "))
    return lines[start : next(i for i in range(start, len(lines)) if " worth " in lines[i])]


@pytest.mark.parametrize("width", [40, 80, 104, 110, 200])
def test_no_digit_is_lost_at_any_width(small_board: Leaderboard, width: int) -> None:
    text = to_console(small_board, width)
    for number in ("61.45", "[59.0, 63.9] †", "1–3", "99.9", "48.12", "42.12", "macro-F1", "-30.18", "0.002"):
        assert number in text
    for entry in small_board.entries:
        assert entry.predictor in text.replace("\n", "") or "few-shot[k=8," in text


def test_lines_fit_where_they_can(small_board: Leaderboard) -> None:
    lines = to_console(small_board, 110).splitlines()
    assert max(len(line) for line in lines if not line.startswith("Signature")) <= 110
    assert len(_table(to_console(small_board, 200))) == 2 + 5


def test_a_signature_is_never_broken(two_boards_in_one: Leaderboard) -> None:
    lines = to_console(two_boards_in_one, 80).splitlines()
    assert [line for line in lines if line.startswith("Signature")] == [
        f"Signature: {header.signature}" for header in two_boards_in_one.datasets
    ]


def test_environment_and_terminal_change_nothing(small_board: Leaderboard, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = to_console(small_board)
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "40"), ("TERM", "xterm-256color"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    assert to_console(small_board) == plain
    assert "\x1b" not in plain


def test_hostile_names_neither_act_nor_style(hostile_board: Leaderboard) -> None:
    text = to_console(hostile_board, 400)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]markup[/red] :smile: \\end{table}" in text
    assert len(_table(text)) == 2 + len(hostile_board.entries)


def test_a_long_title_breaks_between_words(small_board: Leaderboard) -> None:
    first, *others = small_board.entries
    titled = replace(first, title="emotion words masked in the video that nobody has seen")
    shown = to_console(replace(small_board, entries=(titled, *others)), 80)
    folded = [line.strip() for line in _table(shown)]
    assert {"masked in the", "video that", "nobody has seen"} <= set(folded)


def test_a_board_without_entries(small_board: Leaderboard) -> None:
    text = to_console(replace(small_board, entries=(), comparisons=()))
    assert "0 seeds" in text
    assert "No pair was tested." in text
