"""The runs and boards of this repository: fresh views, sound files, no corpus text, no path of a machine."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score

from harness import Layout, RunStore, build_leaderboard, export_leaderboard, load_dataset, load_spec
from harness.data import DATASETS
from harness.leaderboard.build import board_progress, missing_runs
from harness.predictors import PREDICTORS
from harness.predictors.build import resolve_params
from harness.store.layout import VIEWS

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = Layout(ROOT / "results")
BOARDS = sorted(path.parent.name for path in LAYOUT.leaderboards.glob("*/board.toml"))
PLANNED = [board for board in BOARDS if board_progress(board, load_spec(board, LAYOUT), RunStore(LAYOUT)).planned]
"""Their models do not fit the machines that made the committed runs."""


def test_only_boards_of_the_large_model_are_without_runs() -> None:
    assert {"sample", "meld", "emorynlp"} <= set(BOARDS)
    assert all(board.startswith("dialogue-llm") for board in PLANNED)


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_asks_for_what_can_be_run_and_calls_no_two_rows_alike(board: str, predictors: None) -> None:
    spec = load_spec(board, LAYOUT)
    for dataset in spec.datasets:
        assert dataset in DATASETS
        entries = spec.entries_on(dataset)
        settings = [str((entry.name, resolve_params(PREDICTORS.get(entry.name), entry.params))) for entry in entries]
        assert len(set(settings)) == len(settings) > 0
        titles = [entry.title for entry in entries if entry.title]
        assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("board", [board for board in BOARDS if board not in PLANNED])
def test_committed_views_are_what_the_runs_give(board: str) -> None:
    spec = load_spec(board, LAYOUT)
    store = RunStore(LAYOUT)
    assert missing_runs(spec, store) == []
    built = build_leaderboard(board, spec, store)
    for exporter in VIEWS:
        assert LAYOUT.view(board, exporter).read_bytes() == export_leaderboard(built, exporter).encode(), exporter


def test_every_committed_run_is_sound_and_made_from_a_clean_tree() -> None:
    runs = RunStore(LAYOUT).runs()
    assert runs
    for run in runs:
        predictions = run.predictions()
        assert len(predictions) == run.manifest.data.n_utterances
        assert run.dialogues().confusion.counts.sum() == len(predictions)
        assert run.manifest.git is not None
        assert not run.manifest.git["dirty"], run.path


def test_no_path_of_a_machine_is_committed_in_results() -> None:
    pattern = re.compile(rb"/(home|root|tmp|work|Users)/")
    for path in (ROOT / "results").rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            assert not pattern.search(path.read_bytes()), path


@pytest.mark.parametrize("dataset", ["meld", "emorynlp"])
def test_stored_runs_score_as_scikit_learn_does_on_the_corpus_and_hold_no_text(data_dir: Path, dataset: str) -> None:
    split = load_dataset(dataset, data_dir).split("test")
    gold, labels = list(split.gold.values()), list(split.label_set.labels)
    texts = {u.text for u in split.utterances() if len(u.text) > 20}
    entries = {e.runs: e for e in build_leaderboard(dataset, load_spec(dataset, LAYOUT), RunStore(LAYOUT)).entries}
    for paths, entry in entries.items():
        scores = []
        for path in paths:
            run = RunStore(LAYOUT).find(path)
            assert run.manifest.data.fingerprint == split.fingerprint
            said = run.predictions()
            assert list(said) == list(split.gold)
            predicted = [p.label for p in said.values()]
            scores.append(f1_score(gold, predicted, labels=labels, average="weighted", zero_division=0))
            for file in ("predictions.parquet", "dialogues.parquet"):
                for column in pq.ParquetFile(run.path / file).read(use_threads=False).to_pydict().values():
                    assert not texts & {value for value in column if isinstance(value, str)}
        assert entry.score == pytest.approx(np.mean(scores), abs=1e-12)


def test_learning_takes_what_readme_says() -> None:
    """From cached features, two runs at a time: the longest seed on MELD, and every seed of both corpora together."""
    seconds: dict[str, list[float]] = {"meld": [], "emorynlp": []}
    for run in RunStore(LAYOUT).runs():
        made, data = run.manifest.predictor, run.manifest.data
        if data.dataset in seconds and (made.name == "textcnn" or made.params.get("encoder") == "minilm-tuned@r1-r2"):
            seconds[data.dataset].append(float(run.manifest.times["fit_seconds"]))
    longest, minutes = max(seconds["meld"]), sum(map(sum, seconds.values())) / 2 / 60
    assert minutes < 90
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"learns a seed on MELD in {longest:.0f} seconds at most" in readme
    assert f"{sum(map(len, seconds.values()))} trainings of both corpora take {minutes:.0f} minutes" in readme
