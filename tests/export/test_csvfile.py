"""CSV, read back with the csv module."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO

from harness.export import export_leaderboard
from harness.export.escape import one_line
from harness.leaderboard.columns import MAIN
from harness.leaderboard.leaderboard import Leaderboard


def _read(board: Leaderboard) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(export_leaderboard(board, "csv"), newline=""), strict=True))


def test_numbers_come_back_as_fractions(two_boards_in_one: Leaderboard) -> None:
    rows = _read(two_boards_in_one)
    for row, entry in zip(rows, two_boards_in_one.entries, strict=True):
        assert (row["predictor"], row["dataset"]) == (entry.predictor, entry.dataset)
        assert float(row["score"]) == round(entry.score, 10)
        assert float(row["metric.accuracy"]) == round(entry.metrics["accuracy"], 10)
        assert row["best"] == ("true" if entry.best else "false")
        assert int(row["n_seeds"]) == entry.n_seeds
    assert rows[2]["modalities"] == "text+audio"
    assert rows[0]["signature"] == two_boards_in_one.datasets[0].signature


def test_what_does_not_exist_is_empty(small_board: Leaderboard) -> None:
    untested = _read(small_board)[-1]
    empty = {key for key, value in untested.items() if value == ""}
    assert empty == {
        "se", "se_dialogue", "se_seed", "se_interaction", "low", "high", "rank_low", "rank_high", "letters",
        "to_top_low", "to_top_high", "to_top_p_adjusted", "to_top_detectable", "n_resamples", "metric.macro_f1",
        "title",
    }  # fmt: skip


def test_hostile_text_stays_in_its_cell(hostile_board: Leaderboard, hostile_texts: tuple[str, ...]) -> None:
    text = export_leaderboard(hostile_board, "csv")
    rows = list(csv.reader(StringIO(text, newline=""), strict=True))
    assert {len(row) for row in rows} == {len(MAIN) - 1 + 3}
    assert len(text.splitlines()) == 1 + len(hostile_texts)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
    column = rows[0].index("predictor")
    assert [row[column].removeprefix("'") for row in rows[1:]] == [one_line(text) for text in hostile_texts]


def test_what_the_tests_rest_on_is_in_every_row(two_boards_in_one: Leaderboard) -> None:
    rows = _read(two_boards_in_one)
    assert {(row["scope"], row["test"], row["correction"], row["n_resamples"]) for row in rows} == {
        ("procedure", "sign-flip", "max-t", "10000")
    }
    assert [(row["n_dialogues"], row["effective_clusters"]) for row in rows[4:6]] == [
        ("280", "227.5"),
        ("85", "69.0625"),
    ]
    assert (rows[3]["to_top"], rows[3]["to_top_p_adjusted"]) == ("-0.043312", "0.002")


def test_negative_numbers_stay_numbers(small_board: Leaderboard) -> None:
    entry = replace(small_board.entries[0], low=-0.0125)
    assert _read(replace(small_board, entries=(entry,)))[0]["low"] == "-0.0125"
