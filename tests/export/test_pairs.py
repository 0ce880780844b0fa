"""All pairs of a board: long tables that come back, and a matrix that compiles."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest

from harness.export import export_leaderboard
from harness.export.escape import one_line
from harness.leaderboard.columns import PAIRS
from harness.leaderboard.leaderboard import Leaderboard

AllPairs = Callable[[Leaderboard], Leaderboard]


def _rows(board: Leaderboard) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(export_leaderboard(board, "csv", "pairs"), newline=""), strict=True))


def latex(board: Leaderboard) -> str:
    return export_leaderboard(board, "latex", "pairs")


@pytest.fixture
def full_board(two_boards_in_one: Leaderboard, all_pairs: AllPairs) -> Leaderboard:
    return all_pairs(two_boards_in_one)


def test_csv_has_every_pair_in_full(small_board: Leaderboard) -> None:
    first, second = _rows(small_board)
    assert (second["a"], second["b"]) == ("dialogue-rnn", "few-shot[k=8,model=tiny]")
    assert [float(second[key]) for key in ("difference", "se", "low", "high", "p_adjusted")] == [
        0.043312, 0.012, 0.01, 0.0766, 0.002,
    ]  # fmt: skip
    assert (first["rejected"], second["rejected"]) == ("false", "true")
    assert (second["scope"], second["unit"], second["test"], second["n_resamples"]) == (
        "procedure", "dialogue", "satterthwaite", "",
    )  # fmt: skip
    assert second["signature"] == small_board.datasets[0].signature


def test_json_says_the_same_as_csv(full_board: Leaderboard) -> None:
    document = json.loads(export_leaderboard(full_board, "json", "pairs"))
    assert document["board"] == "both"
    assert len(document["pairs"]) == len(full_board.comparisons) == 10 + 6
    for record, row in zip(document["pairs"], _rows(full_board), strict=True):
        assert list(record) == list(row)
        assert (record["dataset"], record["a"], record["b"]) == (row["dataset"], row["a"], row["b"])
        assert record["difference"] == float(row["difference"])
        assert str(record["rejected"]).lower() == row["rejected"]


def test_the_matrix_holds_differences_above_and_p_values_below_the_diagonal(full_board: Leaderboard) -> None:
    text = latex(full_board)
    assert text.count(r"\begin{table}") == 2
    lines = [
        line.removesuffix(r" \\ \addlinespace[2pt]").split(" & ")
        for line in text.splitlines()
        if re.match(r"\d+ & ", line)
    ]
    emorynlp = lines[5:]
    assert [line[0] for line in emorynlp] == ["1", "2", "3", "4"]
    assert [line[1] for line in emorynlp] == [e.predictor for e in full_board.of_dataset("emorynlp")]
    cells = [line[2:] for line in emorynlp]
    assert [cells[i][i].strip() for i in range(4)] == [""] * 4
    assert cells[0][1] == r"\shortstack{+1.07\\{\tiny [$-$0.9, 3.1]}}"
    assert cells[0][2] == r"\shortstack{\textbf{+5.59}\\{\tiny [3.6, 7.6]}}"
    assert cells[1][0] == r"\shortstack{0.31\\{\tiny (0.31)}}"
    assert cells[3][0] == r"\shortstack{\textbf{$<$0.001}\\{\tiny ($<$0.001)}}"


def test_untested_systems_are_not_in_the_matrix(small_board: Leaderboard) -> None:
    text = latex(small_board)
    assert "graph-net" in text
    assert "majority &" not in text


def test_matrices_compile_and_stay_on_the_page(full_board: Leaderboard, typeset: Callable[..., str]) -> None:
    for options in ("a4paper", "a4paper,twocolumn"):
        log = typeset(latex(full_board), options)
        assert "Overfull" not in log
        assert "Missing character" not in log


def test_twenty_systems_and_none_compile(
    small_board: Leaderboard, all_pairs: AllPairs, typeset: Callable[..., str]
) -> None:
    entries = tuple(replace(small_board.entries[0], predictor=f"model-{i}[layers={i}]") for i in range(20))
    many = latex(all_pairs(replace(small_board, entries=entries)))
    none = latex(replace(small_board, comparisons=()))
    assert "No pair was tested" in none
    assert "Overfull" not in typeset(many + none)


def test_hostile_text_is_escaped_everywhere(
    hostile_board: Leaderboard, hostile_texts: tuple[str, ...], all_pairs: AllPairs, typeset: Callable[..., str]
) -> None:
    board = all_pairs(hostile_board)
    assert "Missing character" not in typeset(latex(board))
    rows = list(csv.reader(StringIO(export_leaderboard(board, "csv", "pairs"), newline=""), strict=True))
    assert {len(row) for row in rows} == {len(PAIRS)}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
    names = {row[rows[0].index("a")].removeprefix("'") for row in rows[1:]}
    assert names == {one_line(text) for text in hostile_texts[:-1]}
    assert export_leaderboard(board, "json", "pairs").isascii()
