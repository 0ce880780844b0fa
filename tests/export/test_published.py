"""The block of published values: marked, shaded and apart in every view for people."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import StoreError
from harness.export import export_leaderboard, read_leaderboard
from harness.export.published import make_block
from harness.leaderboard.leaderboard import Leaderboard, PublishedEntry

Typeset = Callable[..., str]

XCOLOR = "\\usepackage{xcolor}\n"


def published(name: str, dataset: str, metrics: dict[str, float], **changes: Any) -> PublishedEntry:
    fields: dict[str, Any] = {
        "dataset": dataset, "system": name.lower(), "name": name, "variant": "", "metrics": metrics,
        "table": "lab/main", "cited": "Lab, Table 1", "provenance": "own", "verified": True, "selection": "unknown",
        "n_seeds": None, "features": "words", "modalities": ("text",), "differs": (), "problems": (),
    }  # fmt: skip
    return PublishedEntry(**(fields | changes))


@pytest.fixture
def board(two_boards_in_one: Leaderboard) -> Leaderboard:
    """Two datasets: TWO is missing on the second, THREE on the first."""
    entries = (
        published("ONE", "meld", {"weighted_f1": 0.6, "accuracy": 0.6151}, provenance="re-run", problems=("a leak",)),
        published("ONE", "emorynlp", {"weighted_f1": 0.35}, provenance="re-run", problems=("a leak",),
                  differs=("release: of old; here emorynlp", "seeds of old")),
        published("TWO", "meld", {"weighted_f1": 0.9999}, verified=False, selection="test", n_seeds=5),
        published("THREE", "emorynlp", {"weighted_f1": 0.4}, variant="best seed", verified=False,
                  differs=("release: of old; here emorynlp",), problems=("a leak",)),
    )  # fmt: skip
    return replace(two_boards_in_one, published=entries, published_slips=("Lab, Table 1: an average is 1, not 2",))


def test_the_block_has_the_order_of_the_papers_and_a_number_for_every_note(board: Leaderboard) -> None:
    block = make_block(board)
    assert block is not None
    assert block.columns == (("meld", "wF1"), ("meld", "accuracy"), ("emorynlp", "wF1"))
    assert block.notes == (
        ("?", "not verified against a primary source"), ("1", "a leak"), ("2", "release: of old; here emorynlp"),
        ("3", "seeds of old"),
    )  # fmt: skip
    cells = [[(score.text, score.marks) for score in line.scores] for line in block.lines]
    assert cells == [
        [("60.00", ()), ("61.51", ()), ("35.00", ("2", "3"))],
        [("99.99", ("?",)), ("–", ()), ("–", ())],
        [("–", ()), ("–", ()), ("40.00", ("?", "2"))],
    ]
    assert [(line.name.text, line.name.marks) for line in block.lines] == [
        ("ONE", ("1",)), ("TWO", ()), ("THREE (best seed)", ("1",)),
    ]  # fmt: skip
    assert block.lines[1].facts == ("5", "test", "own", "Lab, Table 1")
    assert block.lines[0].facts == ("–", "–", "re-run", "Lab, Table 1")


def test_a_board_without_published_values_has_no_block(two_boards_in_one: Leaderboard) -> None:
    assert make_block(two_boards_in_one) is None
    for to in ("console", "markdown", "latex"):
        assert "ublished" not in export_leaderboard(two_boards_in_one, to)


@pytest.mark.parametrize(("to", "shade"), [("console", "░"), ("markdown", ">")])
def test_every_line_of_the_block_is_shaded_and_no_other_line_changes(board: Leaderboard, to: str, shade: str) -> None:
    text = export_leaderboard(board, to)
    plain = export_leaderboard(replace(board, published=(), published_slips=()), to)
    added = [line for line in text.splitlines() if line.startswith(shade) and line not in plain.splitlines()]
    left = [line for line in text.splitlines() if line not in added and line != shade]
    assert [line for line in left if line] == [line for line in plain.splitlines() if line]
    block = "\n".join(added)
    assert "Published values, not run here" in block
    assert "neither ranked nor tested" in " ".join(block.replace(shade, "").split())
    assert "average is 1, not 2" in block
    escape = "\\" if to == "markdown" else ""
    assert f"99.99 {escape}[?]" in block
    assert f"40.00 {escape}[?, 2]" in block
    assert "?: not verified against a primary source" in block
    assert re.search(r"1: a leak", block)


def test_a_wide_block_of_the_console_folds_names_and_sources(board: Leaderboard) -> None:
    cited = "A long name of a source, Table 17"
    wide = replace(
        board, published=tuple(replace(e, cited=cited, variant="a long name of it") for e in board.published)
    )
    lines = [line for line in export_leaderboard(wide, "console").splitlines() if line.startswith("░")]
    assert max(map(len, lines)) <= 110
    assert any("A long name of" in line for line in lines)
    assert not any(cited in line for line in lines)
    for digits in ("60.00", "61.51", "35.00 [", "99.99 [?]"):
        assert any(digits in line for line in lines)


def test_latex_has_a_shaded_table_of_its_own(board: Leaderboard, typeset: Typeset) -> None:
    text = export_leaderboard(board, "latex")
    first, second = text.split(r"\end{table}", 1)
    assert "ONE" not in first
    assert r"\colorbox[gray]{0.92}" in second
    assert r"\label{tab:both-published}" in second
    assert "neither ranked nor tested" in second
    assert (
        r"ONE\textsuperscript{1} & 60.00 &  & 61.51 &  & 35.00 & \textsuperscript{2,3} & -- & -- & re-run &" in second
    )
    assert r"TWO & 99.99 & ? & -- &  & -- &  & 5 & test & own & Lab, Table 1 \\" in second
    assert r"\multicolumn{4}{c}{meld} & \multicolumn{2}{c}{emorynlp} \\" in second
    assert "Slip: Lab, Table 1: an average is 1, not 2." in second
    log = typeset(text, preamble=XCOLOR)
    assert "Overfull" not in log
    assert "Missing character" not in log


def test_latex_of_one_dataset_and_of_hostile_text_compiles(
    board: Leaderboard, hostile_board: Leaderboard, hostile_texts: tuple[str, ...], typeset: Typeset
) -> None:
    one = replace(board, datasets=board.datasets[:1], entries=board.of_dataset("meld"), published=board.published[:1])
    assert r"\multicolumn{4}{c}{meld}" not in export_leaderboard(one, "latex").split(r"\end{table}", 1)[1]
    dataset, metric = hostile_board.datasets[0].dataset, hostile_board.metrics[0]
    entries = tuple(
        published(text, dataset, {metric: 0.5}, system=str(i), variant=text, cited=text, provenance=text,
                  differs=(text,), problems=hostile_texts, verified=False)
        for i, text in enumerate(hostile_texts)
    )  # fmt: skip
    hostile = replace(hostile_board, published=entries, published_slips=hostile_texts)
    log = typeset(export_leaderboard(one, "latex") + export_leaderboard(hostile, "latex"), preamble=XCOLOR)
    assert "Missing character" not in log
    for to in ("console", "markdown"):
        text = export_leaderboard(hostile, to)
        assert not set(text) & {"\r", "\t", "\x1b", "\u202e"}
    assert "<script>" not in re.sub(r"(`+) ?.*? ?\1(?!`)", "", text)


@pytest.mark.parametrize("to", ["console", "markdown", "latex", "json"])
def test_a_stored_block_is_rendered_alike(board: Leaderboard, to: str) -> None:
    assert export_leaderboard(read_leaderboard(export_leaderboard(board, "json")), to) == export_leaderboard(board, to)


def test_a_published_value_on_no_dataset_of_the_board_is_refused(board: Leaderboard) -> None:
    text = export_leaderboard(board, "json").replace(
        '"dataset": "emorynlp",\n   "system"', '"dataset": "x",\n   "system"'
    )
    with pytest.raises(StoreError, match="published value of 'ONE' is on 'x', which has no header"):
        read_leaderboard(text)
