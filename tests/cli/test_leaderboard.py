"""`leaderboard build` and `check`, `export`, and boards that ask for runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

BOARD = """
title = "Toy"
datasets = ["toy"]
seeds = [0, 1, 2]
other_runs = true

[[predictors]]
name = "majority"

[[predictors]]
name = "stratified"
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "results" / "leaderboards" / "mine" / "board.toml"
    path.parent.mkdir(parents=True)
    path.write_text(BOARD)
    return path


def test_a_board_runs_what_is_missing_and_is_built_checked_and_exported(cli: Cli, board: Path, plugin: Path) -> None:
    assert [run["status"] for run in cli("run", "--board", "mine", "--json").json["runs"]] == ["done"] * 4
    cli("run", "lab/mine", "--dataset", "toy", "--plugin", plugin)
    built = cli("leaderboard", "build", "mine")
    assert built.code == 0
    assert "lab/mine" in built.out
    assert str(board.parent) in built.out
    views = {path.name: path.read_bytes() for path in board.parent.iterdir()}
    assert set(views) == {"board.toml", "leaderboard.json", "leaderboard.md", "leaderboard.csv", "leaderboard.tex"}
    assert cli("leaderboard", "check", "mine").code == 0
    cli("leaderboard", "build", "mine")
    assert {path.name: path.read_bytes() for path in board.parent.iterdir()} == views
    for to in ("latex", "markdown", "csv", "json", "console"):
        assert "lab/mine" in cli("export", "mine", "--to", to).out
    assert cli("export", board.parent / "leaderboard.json", "--to", "csv").out == views["leaderboard.csv"].decode()


def test_a_stale_view_fails_the_check_and_is_named(cli: Cli, board: Path) -> None:
    cli("run", "--board", "mine")
    cli("leaderboard", "build", "mine")
    view = board.parent / "leaderboard.csv"
    view.write_text(view.read_text().replace("majority", "minority"))
    result = cli("leaderboard", "check", "mine")
    assert result.code == 2
    assert "leaderboard.csv differ" in result.err
    assert "leaderboard.md" not in result.err
    assert cli("leaderboard", "check", "mine", "--json").json == {
        "board": "mine", "fresh": False, "stale": ["leaderboard.csv"], "planned": False,
    }  # fmt: skip


def test_a_new_run_makes_the_board_stale(cli: Cli, board: Path, plugin: Path) -> None:
    cli("run", "--board", "mine")
    cli("leaderboard", "build", "mine")
    cli("run", "lab/mine", "--dataset", "toy", "--plugin", plugin)
    assert cli("leaderboard", "check", "mine").code == 2


def test_a_board_with_runs_missing_is_built_and_says_so(cli: Cli, board: Path) -> None:
    cli("run", "majority", "--dataset", "toy")
    result = cli("leaderboard", "build", "mine")
    assert result.code == 3
    assert "stratified on toy, seed 0" in result.err
    assert "erc-harness run --board mine" in result.err


def test_a_planned_board_passes_the_check_is_listed_and_cannot_be_built(cli: Cli, board: Path) -> None:
    check = cli("leaderboard", "check", "mine")
    assert check.code == 0
    assert "planned: 0 of up to 6 runs are here; type: erc-harness run --board mine" in check.out
    assert cli("leaderboard", "check", "mine", "--json").json == {
        "board": "mine", "fresh": True, "stale": [], "planned": True,
    }  # fmt: skip
    built = cli("leaderboard", "build", "mine")
    assert built.code == 2
    assert "erc-harness run --board mine" in built.err
    assert [path.name for path in board.parent.iterdir()] == ["board.toml"]


def test_boards_are_listed_with_how_far_they_are(cli: Cli, board: Path) -> None:
    broken = board.parents[1] / "broken" / "board.toml"
    broken.parent.mkdir()
    broken.write_text("datasets = []")

    def listed() -> list[tuple[str, str, int | None, int | None]]:
        rows = cli("list", "boards", "--json").json["boards"]
        return [(row["name"], row["status"], row["n_runs"], row["n_missing"]) for row in rows]

    assert listed() == [("broken", "broken", None, None), ("mine", "planned", 0, 6)]
    cli("run", "majority", "--dataset", "toy")
    assert listed()[1] == ("mine", "incomplete", 1, 3)
    cli("run", "--board", "mine")
    assert listed()[1] == ("mine", "complete", 4, 0)
    assert "complete" in cli("list", "boards").out


def test_shared_parameters_and_datasets_of_an_entry_reach_the_runs(cli: Cli, board: Path) -> None:
    board.write_text(
        'datasets = ["toy", "sample"]\nseeds = [0]\n[shared.tfidf-svm]\nhistory = 1\n'
        '[[predictors]]\nname = "tfidf-svm"\ndatasets = ["toy"]\ntitle = "with one before"\n'
        '[[predictors]]\nname = "tfidf-svm"\nparams = { history = 0 }\ntitle = "alone"\n'
    )
    runs = cli("run", "--board", "mine", "--json").json["runs"]
    assert [run["dataset"] for run in runs] == ["toy", "toy", "sample"]
    entries = cli("leaderboard", "build", "mine", "--json").json["entries"]
    assert {(e["dataset"], e["title"], e["predictor"]) for e in entries} == {
        ("toy", "with one before", "tfidf-svm[history=1]"),
        ("toy", "alone", "tfidf-svm[history=0]"),
        ("sample", "alone", "tfidf-svm[history=0]"),
    }
    assert "tfidf-svm" not in cli("export", "mine").out
    assert cli("leaderboard", "check", "mine").code == 0


def test_a_dataset_is_a_board_from_any_folder(cli: Cli) -> None:
    cli("run", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, 2)
    document = cli("leaderboard", "build", "toy", "--json").json
    assert {entry["predictor"] for entry in document["entries"]} == {"majority", "stratified"}
    assert "\\toprule" in cli("export", "toy", "--to", "latex").out


def test_output_goes_to_a_file(cli: Cli, tmp_path: Path) -> None:
    cli("run", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, 2)
    result = cli("export", "toy", "--to", "latex", "-o", tmp_path / "table.tex")
    assert result.out == ""
    assert "\\toprule" in (tmp_path / "table.tex").read_text()


def test_tables_of_several_boards_are_exported(cli: Cli, tmp_path: Path) -> None:
    for dataset in ("toy", "sample"):
        cli("run", "majority", "tfidf-logreg", "--dataset", dataset)
    rows = cli("export", "toy", "sample", "--table", "datasets", "--json").json["datasets"]
    for row in rows:
        assert row["average.score"] == pytest.approx((row["toy.score"] + row["sample.score"]) / 2, abs=1e-9)
    latex = cli("export", "toy", "sample", "--table", "datasets", "--to", "latex").out
    assert "{Average}" in latex
    assert f"{100 * rows[0]['average.score']:.2f}" in latex
    cli("export", "toy", "--table", "labels", "--to", "latex", "--siunitx", "-o", tmp_path / "labels.tex")
    assert "S[table-format=" in (tmp_path / "labels.tex").read_text()
    (full, other) = cli("export", "toy", "--table", "ablation", "--full", "tfidf-logreg", "--json").json["ablation"]
    assert (full["predictor"], full["difference"]) == ("tfidf-logreg", None)
    (pair,) = cli("export", "toy", "--table", "pairs", "--json").json["pairs"]
    sign = 1 if pair["b"] == "tfidf-logreg" else -1
    assert other["difference"] == pytest.approx(sign * pair["difference"], abs=1e-9)
    assert "F1 by label on toy" in cli("export", "toy", "--table", "labels").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "toy", "--table", "pear"), "unknown table 'pear'; did you mean 'pairs'?"),
        (("export", "toy", "--table", "ablation"), "add --full ROW (rows: majority)"),
        (("export", "toy", "--table", "datasets"), "name more boards"),
        (("export", "toy", "--siunitx"), "add --to latex"),
        (("export", "toy", "a.json"), "'a.json' is a board by itself"),
        (("export", "toy", "mine", "--table", "datasets"), "cannot share a table: seeds is"),
        (("leaderboard", "build", "nothing"), "unknown board 'nothing'"),
        (("export", "mine", "--to", "pdf"), "unknown format 'pdf'"),
        (("export", "nowhere.json"), "does not exist"),
        (("run", "--board", "mine", "majority"), "--board says what to run"),
        (("run", "--board", "", "majority"), "--board says what to run"),
    ],
)
def test_bad_input_gets_one_line(cli: Cli, board: Path, arguments: tuple[str, ...], said: str) -> None:
    cli("run", "majority", "--dataset", "toy")
    result = cli(*arguments)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert said in result.err
