"""`run`, `show`, `list` and `compare` as their user types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

RUN_KEYS = {"run_id", "predictor", "dataset", "split", "seed", "path", "status", "seconds"}


def test_run_reports_each_run_and_skips_it_the_second_time(cli: Cli) -> None:
    first = cli("run", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, "--json")
    assert first.code == 0
    runs = first.json["runs"]
    assert all(set(run) >= RUN_KEYS for run in runs)
    assert [(r["predictor"], r["seed"], r["status"]) for r in runs] == [
        ("majority", 0, "done"), ("stratified", 0, "done"), ("stratified", 1, "done"),
    ]  # fmt: skip
    again = cli("run", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, "--json")
    assert [run["status"] for run in again.json["runs"]] == ["skipped"] * 3
    assert [run["path"] for run in again.json["runs"]] == [run["path"] for run in runs]


def test_progress_is_plain_lines_on_stderr_and_quiet_silences_it(cli: Cli) -> None:
    loud = cli("run", "majority", "--dataset", "toy")
    assert "[1/1] majority on toy, seed 0: done in" in loud.err
    assert loud.out.startswith("1 run: 1 made now; in ")
    assert cli("run", "majority", "--dataset", "toy", "--quiet").err == ""


def test_two_processes_make_the_same_runs(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin: Path
) -> None:
    command = ("run", "lab/mine", "stratified", "--dataset", "toy", "--seed", 0, 1, 2, "--plugin", plugin, "--json")
    serial = cli(*command, "--results-dir", tmp_path / "serial").json["runs"]
    parallel = cli(*command, "--results-dir", tmp_path / "parallel", "--jobs", 2).json["runs"]
    assert [run["status"] for run in parallel] == ["done"] * 4
    for a, b in zip(serial, parallel, strict=True):
        for name in ("predictions.parquet", "dialogues.parquet"):
            assert (Path(a["path"]) / name).read_bytes() == (Path(b["path"]) / name).read_bytes()


def test_show_has_the_promised_keys(cli: Cli) -> None:
    run = cli("run", "majority", "--dataset", "toy", "--json").json["runs"][0]
    shown = cli("show", run["run_id"], "--json").json
    assert {
        "run_id", "predictor", "dataset", "split", "seed", "n_utterances", "n_dialogues", "coverage", "statuses",
        "metrics", "bounds", "usage", "imported", "manifest",
    } == set(shown)  # fmt: skip
    assert {"weighted_f1", "macro_f1", "accuracy", "f1:joy"} <= set(shown["metrics"])
    assert shown["coverage"] == 1.0
    assert shown["metrics"]["ece"] is None or 0 <= shown["metrics"]["ece"] <= 1
    assert "weighted_f1" in cli("show", run["path"]).out


def test_parameters_reach_the_predictor_and_the_row_label(cli: Cli, plugin: Path) -> None:
    cli("run", "lab/mine", "--dataset", "toy", "-P", "word=awful", "--plugin", plugin)
    rows = cli("list", "runs", "--json").json["runs"]
    assert [row["predictor"] for row in rows] == ["lab/mine[word=awful]"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "majorty", "--dataset", "toy"), "did you mean 'majority'"),
        (("run", "majority", "--dataset", "toi"), "did you mean 'toy'"),
        (("run", "majority"), "no dataset given"),
        (("run", "--dataset", "toy"), "no predictor given"),
        (("run", "tfidf-svm", "--dataset", "toy", "-P", "historie=2"), "history"),
        (("run", "tfidf-svm", "--dataset", "toy", "-P", "history=two"), "expected a whole number"),
        (("run", "majority", "--dataset", "toy", "-P", "x"), "expected key=value"),
        (("run", "majority", "--dataset", "toy", "--split", "valid"), "expected dev or test"),
        (("run", "--board", "toy"), "unknown board 'toy'"),
        (("run", "majority", "--dataset", "toy", "--plugin", "nowhere.py"), "does not exist"),
        (("run", "majority", "--dataset", "meld"), "erc-harness data fetch meld"),
        (("run", "majority", "--dataset", "toy", "--executor", "rey"), "did you mean 'ray'"),
        (("run", "majority", "--dataset", "toy", "-R", "gpus=1"), "add --executor ray"),
        (
            ("run", "majority", "--dataset", "toy", "--executor", "ray", "-R", "gpus=two"),
            "gpus=two: expected",
        ),
        (("run", "majority", "--dataset", "toy", "-R", "gpus=1", "--jobs-per-gpu", "2"), "give one of them"),
        (("run", "majority", "--dataset", "toy", "--executor", "ray", "-R", "CPU=2"), "type -R cpus=2"),
        (("run", "majority", "--dataset", "toy", "--executor", "ray", "--jobs", "2"), "--jobs is for this machine"),
        (("run", "majority", "--dataset", "toy", "--executor", "ray", "--max-cost", "1"), "leave out --executor"),
        (("show", "seed0-00000000"), "unknown run"),
        (("compare", "a", "b", "--dataset", "toy"), "unknown system"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2_and_writes_nothing(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = cli(*arguments, "--json") if arguments[0] != "export" else cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert said in result.err
    assert not (tmp_path / "results").exists()


def test_a_failing_predictor_gives_exit_code_3_and_spares_others(cli: Cli, write_plugin: Callable[..., Path]) -> None:
    path = write_plugin("fails", '"joy" if', '"bliss" if')
    result = cli("run", "lab/fails", "majority", "--dataset", "toy", "--plugin", path, "--json")
    assert result.code == 3
    assert [run["status"] for run in result.json["runs"]] == ["failed", "done"]
    assert "is 'bliss', expected one of" in result.err


def test_a_plugin_that_cannot_be_imported_is_refused_with_its_cause(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import no_such_module_anywhere")
    result = cli("list", "predictors", "--plugin", path)
    assert result.code == 2
    assert "No module named 'no_such_module_anywhere'" in result.err


def test_compare_has_the_promised_keys_and_chooses_the_scope(cli: Cli, plugin: Path) -> None:
    cli("run", "lab/mine", "majority", "stratified", "--dataset", "toy", "--seed", 0, 1, 2, "--plugin", plugin)
    single = cli("compare", "lab/mine", "majority", "--dataset", "toy", "--json").json
    assert {
        "dataset", "metric", "a", "b", "score_a", "score_b", "difference", "low", "high", "p_value", "scope", "unit",
        "test", "n_dialogues", "n_seeds_a", "n_seeds_b",
    } <= set(single)  # fmt: skip
    assert (single["scope"], single["test"], single["unit"]) == ("checkpoint", "sign-flip", "dialogue")
    assert single["difference"] == pytest.approx(single["score_a"] - single["score_b"])
    turned = cli("compare", "majority", "lab/mine", "--dataset", "toy", "--json").json
    assert turned["difference"] == pytest.approx(-single["difference"])
    assert turned["p_value"] == single["p_value"]
    seeds = cli("compare", "lab/mine", "stratified", "--dataset", "toy", "--json").json
    assert (seeds["scope"], seeds["test"], seeds["n_seeds_a"], seeds["n_seeds_b"]) == (
        "procedure",
        "satterthwaite",
        1,
        3,
    )


def test_list_predictors_names_families_and_origins(cli: Cli, plugin: Path) -> None:
    rows = {row["name"]: row for row in cli("list", "predictors", "--plugin", plugin, "--json").json["predictors"]}
    assert rows["majority"]["origin"] == "erc-harness"
    assert rows["lab/mine"]["origin"] == "mine.py"
    assert all(row["error"] is None for row in rows.values())


def test_data_show_has_the_promised_keys(cli: Cli) -> None:
    shown = cli("data", "show", "toy", "--json").json
    assert {"dataset", "fingerprint", "label_set", "splits", "anomalies"} <= set(shown)
    assert {"n_dialogues", "n_utterances", "n_labelled", "labels"} <= set(shown["splits"]["train"])
    assert sum(shown["splits"]["test"]["labels"].values()) == shown["splits"]["test"]["n_labelled"]


def test_doctor_finds_no_problem_here(cli: Cli) -> None:
    result = cli("doctor", "--json")
    states = {check["name"]: check["state"] for check in result.json["checks"]}
    assert result.code == 0, result.out
    assert states["import harness"] == "ok"
    assert states["dataset sample"] == "ok"
    assert states["dataset meld"] == "absent"


def test_version_and_usage_errors(cli: Cli) -> None:
    assert cli("--version").out.startswith("erc-harness ")
    assert cli("frobnicate").code == 2
    assert cli("run", "--jobs", "0").code == 2


def test_fetch_says_what_cannot_be_downloaded_and_how_to_get_it(cli: Cli, tmp_path: Path) -> None:
    refused = cli("data", "fetch", "iemocap", "--data-dir", tmp_path / "corpora")
    assert refused.code == 2
    assert "sail.usc.edu" in refused.err
    assert cli("data", "fetch", "sample", "--json").json["written"] == []
    assert not (tmp_path / "corpora").exists()


def test_overlap_counts_both_ways(cli: Cli) -> None:
    found = cli("data", "overlap", "toy", "sample", "--json").json["overlaps"]
    assert [(o["query"], o["pool"]) for o in found] == [
        ([f"{q}/test"], [f"{p}/train"]) for q in ("toy", "sample") for p in ("toy", "sample")
    ]
    assert all([c["min_words"] for c in o["by_length"]] == [1, 5, 8] for o in found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"label": "joy"', '"label": "jo"', "unknown label"),
        ('"dialogue_id": "test1"', '"dialogue_id": "test0"', "duplicate"),
        ('"speaker"', '"spaeker"', "'speaker' is missing"),
        ("}", "", "JSON"),
    ],
)
def test_a_broken_corpus_is_named_with_file_and_line_and_nothing_is_written(
    cli: Cli, toy_corpus: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = toy_corpus / "toy" / "test.jsonl"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    result = cli("run", "majority", "--dataset", "toy")
    assert result.code == 2
    assert f"{path}, line " in result.err
    assert said in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "results").exists()
