"""`power` on stored runs, on a corpus alone, and on neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

RESULTS = Path(__file__).parents[2] / "results"


def test_stored_runs_give_the_error_and_need_no_corpus(cli: Cli) -> None:
    plan = cli("power", "meld", "--results-dir", RESULTS, "--json").json
    board = cli("export", "meld", "--to", "json", "--results-dir", RESULTS).json
    assert plan["measured"]
    assert plan["se"] == pytest.approx(board["headers"][0]["median_pair_se"], rel=1e-9)
    assert plan["detectable_single"] == pytest.approx(board["headers"][0]["detectable"], rel=1e-9)
    assert (plan["n_utterances"], plan["n_dialogues"], plan["n_systems"]) == (2610, 280, 20)


def test_a_corpus_alone_is_planned_with_its_assumptions(cli: Cli) -> None:
    plan = cli("power", "toy", "--json").json
    shown = cli("data", "show", "toy", "--json").json["splits"]["test"]
    assert not plan["measured"]
    assert (plan["n_utterances"], plan["n_dialogues"]) == (shown["n_labelled"], shown["n_dialogues"])
    text = cli("power", "toy", "--difference", 0.05, "--systems", 4).out
    assert "planned." in text
    assert "two systems differ on 10% of the utterances" in text
    assert "all 6 pairs of 4 systems" in text
    assert "a true difference of 5 points" in text


def test_few_dialogues_and_notes_of_the_corpus_are_warned_about(cli: Cli) -> None:
    assert "warning: only 14 dialogues" in cli("power", "toy").err
    sample = cli("power", "sample", "--results-dir", RESULTS.parent / "nowhere")
    assert "carries no scientific weight" in sample.err
    cli("run", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, 2)
    stored = cli("power", "toy")
    assert stored.err.count("only 14 dialogues") == 1
    assert cli("power", "toy", "--quiet").err == ""


def test_a_disagreement_asks_for_a_planned_error(cli: Cli) -> None:
    few, many = (
        cli("power", "meld", "--results-dir", RESULTS, "--disagreement", share, "--json").json for share in (0.05, 0.2)
    )
    assert not few["measured"]
    assert many["se"] == pytest.approx(2 * few["se"])


def test_each_sentence_has_its_line(cli: Cli) -> None:
    text = cli("power", "meld", "--results-dir", RESULTS).out
    for start in ("MDE80: ", "Power: ", "Dialogues: ", "Seeds: "):
        assert sum(line.startswith(start) for line in text.splitlines()) == 1
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("meld",), "erc-harness data fetch meld"),
        (("toi",), "did you mean 'toy'"),
        (("toy", "--systems", 1), "n_systems is 1"),
        (("toy", "--difference", 3), "such as 0.01 for one point"),
    ],
)
def test_bad_input_gets_one_line(cli: Cli, arguments: tuple[object, ...], said: str) -> None:
    result = cli("power", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
