"""leaderboard.json: the contract for scripts, and back to the board."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import StoreError
from harness.export.jsonfile import read_leaderboard, to_json
from harness.leaderboard.leaderboard import Leaderboard


def test_keys_that_scripts_rely_on(two_boards_in_one: Leaderboard) -> None:
    document = json.loads(to_json(two_boards_in_one))
    assert {"board", "signature", "metric", "datasets", "entries", "comparisons"} <= document.keys()
    assert document["datasets"] == ["meld", "emorynlp"]
    assert [header["dataset"] for header in document["headers"]] == ["meld", "emorynlp"]
    of_entry = {
        "predictor", "dataset", "score", "se", "low", "high", "rank_low", "rank_high", "letters", "top", "n_seeds",
        "coverage",
    }  # fmt: skip
    assert all(of_entry <= entry.keys() for entry in document["entries"])
    of_pair = {"dataset", "a", "b", "difference", "se", "low", "high", "p_value", "p_adjusted"}
    assert document["comparisons"][0].keys() == of_pair
    assert document["entries"][0]["score"] == 0.614512


def test_the_board_comes_back(small_board: Leaderboard) -> None:
    whole = replace(small_board, entries=small_board.entries[:4])  # NaN is not equal to itself
    pairs = tuple(replace(pair, p_value=round(pair.p_value, 6)) for pair in whole.comparisons)
    assert read_leaderboard(to_json(replace(whole, comparisons=pairs))) == replace(whole, comparisons=pairs)


def test_stored_boards_are_stored_alike(
    small_board: Leaderboard, two_boards_in_one: Leaderboard, hostile_board: Leaderboard
) -> None:
    for board in (small_board, two_boards_in_one, hostile_board):
        text = to_json(board)
        assert to_json(read_leaderboard(text)) == text
        assert text.endswith("}\n")
        assert text.isascii()


def test_what_does_not_exist_is_null(small_board: Leaderboard) -> None:
    text = to_json(small_board)
    assert "NaN" not in text
    stored = json.loads(text)["entries"][-1]
    assert (stored["low"], stored["rank_low"], stored["metrics"]["macro_f1"]) == (None, None, None)
    entry = read_leaderboard(text).entries[-1]
    assert math.isnan(entry.low)
    assert math.isnan(entry.metrics["macro_f1"])
    assert entry.rank_low is None


def test_numbers_have_ten_digits(small_board: Leaderboard) -> None:
    assert json.loads(to_json(small_board))["comparisons"][1]["p_value"] == 0.0003333333333


def test_order_of_metrics_in_memory_does_not_matter(small_board: Leaderboard) -> None:
    first = small_board.entries[0]
    turned = replace(first, metrics=dict(reversed(first.metrics.items())))
    assert to_json(replace(small_board, entries=(turned, *small_board.entries[1:]))) == to_json(small_board)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "line 1, column 1"),
        ('{"board": ', "line 1, column 11"),
        ("[1]", r"expected one JSON object, got \[1\]"),
        ("[" * 100_000, "nested too deeply"),
        ("{}", "'board'"),
    ],
)
def test_a_corrupt_text_is_refused(text: str, named: str) -> None:
    with pytest.raises(StoreError, match=named) as caught:
        read_leaderboard(text)
    assert "\n" not in str(caught.value)


def _lose_alpha(document: dict[str, Any]) -> None:
    del document["alpha"]


def _change(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return change


def _repeat_entry(document: dict[str, Any]) -> None:
    document["entries"].append(document["entries"][0])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_lose_alpha, "'alpha'"),
        (_change("entries", 3, "score", to="high"), r"'entries\.3\.score'.*'high'"),
        (_change("entries", 0, "best", to=1), r"'entries\.0\.best'"),
        (_change("entries", 1, to=[]), r"'entries\.1'"),
        (_change("entries", to=None), "'entries'"),
        (_change("headers", 0, "labels", to="joy"), r"'headers\.0\.labels'"),
        (_change("datasets", to=["iemocap"]), "'datasets'.*'meld'"),
        (_change("signature", to="wF1"), "'signature'"),
        (_change("entries", 0, "dataset", to="iemocap"), "'iemocap', which has no header"),
        (_change("comparisons", 0, "a", to="nobody"), "'nobody'"),
        (_repeat_entry, "there twice"),
        (_change("entries", 0, "title", to="majority"), "'majority' on 'meld' is there twice"),
    ],
)
def test_what_is_wrong_is_named(small_board: Leaderboard, damage: Callable[[dict[str, Any]], None], named: str) -> None:
    document = json.loads(to_json(small_board))
    damage(document)
    with pytest.raises(StoreError, match=named) as caught:
        read_leaderboard(json.dumps(document))
    assert "erc-harness leaderboard build" in str(caught.value)
