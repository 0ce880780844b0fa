"""`literature list`, `compare` and `check`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

BOARD = """
datasets = ["toy"]
seeds = [0]

[[predictors]]
name = "majority"

[[predictors]]
name = "tfidf-svm"

[literature]
tables = ["lab/main"]
files = ["lab.toml"]
"""

RESULTS = """
[sources.lab]
title = "A paper"
cite = "Lab"
where = "a test"
kind = "paper"

[protocols.toy]
corpus = "toy"
dataset = "toy"
release = "toy, as here"

[features.words]
title = "words"

[[tables]]
source = "lab"
key = "main"
name = "Table 1"

[[tables.rows]]
system = "majority"
name = "Majority"
provenance = "own"
selection = "test"
features = "words"
verified = false
problems = ["guessed \\u001b[31m"]
values.toy = { weighted_f1 = 99.00 }
average = { weighted_f1 = 98.00 }
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "leaderboards" / "mine"
    folder.mkdir(parents=True)
    (folder / "board.toml").write_text(BOARD)
    (folder / "lab.toml").write_text(RESULTS)
    return folder


def test_values_are_listed_and_unverified_ones_marked(cli: Cli) -> None:
    result = cli("literature", "list", "--dataset", "meld", "--system", "dialogue-rnn")
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines() if line.startswith("dialogue-rnn")]
    assert rows[1][:8] == ["dialogue-rnn", "meld", "weighted_f1", "65.30", "-", "unknown", "roberta-tuned", "re-run"]
    assert next(row for row in rows if "57.03" in row)[3:5] == ["57.03", "?"]
    assert "4 values in percent, 1 of them unverified (?)" in result.out
    assert "- own paper, text systems, DialogueRNN: the released code chooses the epoch on test" in result.out


def test_values_are_listed_for_scripts(cli: Cli) -> None:
    values = cli("literature", "list", "--dataset", "emorynlp-official", "--metric", "weighted_f1", "--json").json
    assert {value["corpus"] for value in values["published"]} == {"emorynlp"}
    value = next(v for v in values["published"] if v["table"] == "dialogue-llm/table-3" and v["system"] == "dialog-xl")
    assert (value["printed"], value["value"], value["protocol"]) == ("34.73", 0.3473, "emorynlp-official")
    assert {"release", "split", "n_labels", "features", "seeds", "selection", "provenance", "verified", "problems",
            "metric", "cited"} <= value.keys()  # fmt: skip


def test_an_unknown_name_is_an_error(cli: Cli) -> None:
    result = cli("literature", "list", "--system", "dialog-rnn")
    assert result.code == 2
    assert "did you mean 'dialogue-rnn'" in result.err


def test_rows_are_set_beside_what_is_reported_with_the_reasons_against_it(cli: Cli, board: Path) -> None:
    cli("run", "--board", "mine")
    (found,) = cli("literature", "compare", "mine", "--json").json["reproductions"]
    assert (found["predictor"], found["reported"], found["inside"], found["sound"]) == ("majority", 0.99, False, False)
    assert found["difference"] == pytest.approx(found["reproduced"] - 0.99)
    kinds = [mismatch["kind"] for mismatch in found["mismatches"]]
    assert kinds == ["label set", "split size", "epoch selection", "features", "modalities", "seeds"]
    printed = cli("literature", "compare", "mine")
    assert printed.code == 0
    row = next(line for line in printed.out.splitlines() if line.startswith("1 "))
    assert "99.00 ?" in " ".join(row.split())
    assert " no" in row
    assert "1. majority on toy and Majority (Lab, Table 1): the comparison is unsound" in printed.out
    assert "- epoch selection: test; here none" in printed.out
    assert "- label set: not stated; here 3 labels" in printed.out
    assert "- known: guessed [31m" in printed.out


def test_views_of_a_board_show_the_block_and_stay_fresh(cli: Cli, board: Path) -> None:
    cli("run", "--board", "mine")
    built = cli("leaderboard", "build", "mine")
    assert built.code == 0
    assert "░ Majority [1]" in built.out
    assert "Published values, not run here" in (board / "leaderboard.md").read_text()
    assert "colorbox" in (board / "leaderboard.tex").read_text()
    assert "Majority" not in (board / "leaderboard.csv").read_text()
    assert cli("leaderboard", "check", "mine").code == 0
    assert "░ Majority [1]" in cli("export", board / "leaderboard.json").out
    path = board / "lab.toml"
    path.write_text(path.read_text().replace("99.00", "98.00"))
    assert cli("leaderboard", "check", "mine").code == 2


def test_a_board_of_unknown_systems_says_so(cli: Cli) -> None:
    cli("run", "majority", "--dataset", "toy")
    result = cli("literature", "compare", "toy")
    assert result.code == 0
    assert "no row of board 'toy' is called like a published system" in result.out
    assert cli("literature", "compare", "toy", "--json").json["reproductions"] == []


def test_sums_are_checked_and_a_file_of_your_own_too(cli: Cli, board: Path, tmp_path: Path) -> None:
    printed = " ".join(cli("literature", "check").out.split())
    assert "average wF1 of DialogueGCN is printed as 53.14, its values give 53.74" in printed
    assert "'DialogueLLM surpasses all 15 baselines', but its accuracy on emorynlp, 41.88, is not above" in printed
    document = cli("literature", "check", board / "lab.toml", "--json").json
    (slip,) = [slip for slip in document["slips"] if slip["tables"] == ["lab/main"]]
    assert (slip["kind"], slip["printed"], slip["computed"], slip["by_rounding"]) == ("average", 98, 99, False)
    path = tmp_path / "bad.toml"
    path.write_text(RESULTS.replace("99.00", "199.00"))
    result = cli("literature", "check", path)
    assert result.code == 2
    assert "table 'main', row 'majority', key 'values.toy.weighted_f1'" in result.err
    assert "got 199.00" in result.err
