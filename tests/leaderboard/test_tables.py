"""Averages over datasets, F1 by label, ablations and frames of boards that are built from sealed runs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.data import load_dataset
from harness.errors import ConfigError, IncompatibleRunsError, UnknownNameError
from harness.evaluation.datasets import compare_datasets
from harness.evaluation.jobs import Settings
from harness.export import export_leaderboard
from harness.leaderboard.build import build_leaderboard, build_together
from harness.leaderboard.columns import COLUMNS
from harness.leaderboard.frames import TABLES
from harness.leaderboard.leaderboard import Leaderboard
from harness.leaderboard.spec import BoardSpec
from harness.store import RunStore

MakeRuns = Callable[..., list[Path]]


@pytest.fixture
def world(make_runs: MakeRuns, store: RunStore) -> tuple[BoardSpec, Leaderboard]:
    """Three systems on two datasets, one of them on the first only."""
    for dataset in ("toy", "sample"):
        make_runs("good", 0.9, dataset=dataset)
        make_runs("bad", 0.2, dataset=dataset)
    make_runs("lonely", 0.5)
    spec = BoardSpec(datasets=("toy", "sample"), seeds=(0, 1, 2), other_runs=True)
    return spec, build_leaderboard("both", spec, store, labels=True)


GOOD, BAD, LONELY = "lab/good[skill=0.9]", "lab/bad[skill=0.2]", "lab/lonely"


def gold_of(settings: Settings, dataset: str) -> Mapping[str, str]:
    return load_dataset(dataset, settings.data_dir).split("test").gold


def test_an_average_is_that_of_scikit_learn_over_seeds_and_datasets(
    world: tuple[BoardSpec, Leaderboard], store: RunStore, settings: Settings
) -> None:
    _, board = world
    assert board.averages is not None
    assert [row.predictor for row in board.averages.rows] == [GOOD, BAD], "no average where a dataset is missing"
    for row in board.averages.rows:
        f1, accuracy = [], []
        for dataset in ("toy", "sample"):
            gold = gold_of(settings, dataset)
            entry = next(e for e in board.of_dataset(dataset) if e.predictor == row.predictor)
            said = [store.find(str(store.layout.root / run)).predictions() for run in entry.runs]
            labels = [[run[key].label for key in gold] for run in said]
            truth = list(gold.values())
            f1.append(np.mean([f1_score(truth, own, average="weighted", zero_division=0) for own in labels]))
            accuracy.append(np.mean([accuracy_score(truth, own) for own in labels]))
        assert row.score == pytest.approx(np.mean(f1))
        assert row.metrics["accuracy"] == pytest.approx(np.mean(accuracy))
        assert row.metrics["weighted_f1"] == row.score


def test_averages_are_tested_as_the_pair_alone_is(world: tuple[BoardSpec, Leaderboard], store: RunStore) -> None:
    _, board = world
    assert board.averages is not None
    (pair,) = board.averages.comparisons
    runs = {
        (entry.predictor, entry.dataset): [store.find(str(store.layout.root / run)) for run in entry.runs]
        for entry in board.entries
    }
    alone, _ = compare_datasets([(runs[GOOD, d], runs[BAD, d]) for d in ("toy", "sample")], scope="procedure")
    assert (pair.a, pair.b, pair.dataset) == (GOOD, BAD, "")
    for key in ("difference", "se", "low", "high", "p_value"):
        assert getattr(pair, key) == pytest.approx(getattr(alone, key))
    assert pair.p_adjusted == pair.p_value, "a family of one"
    best, worst = board.averages.rows
    assert (best.letters, worst.letters, best.best, worst.top) == ("a", "b", True, False)
    spread = [e.se for e in board.entries if e.predictor == GOOD]
    assert best.se == pytest.approx(math.hypot(*spread) / 2)


def test_a_row_untested_on_a_dataset_has_an_average_without_interval(make_runs: MakeRuns, store: RunStore) -> None:
    for dataset in ("toy", "sample"):
        make_runs("good", 0.9, dataset=dataset)
        make_runs("once", 0.5, seeds=(0, 1) if dataset == "toy" else (0, 1, 2), dataset=dataset)
    spec = BoardSpec(datasets=("toy", "sample"), seeds=(0, 1, 2), other_runs=True)
    averages = build_leaderboard("both", spec, store).averages
    assert averages is not None
    tested, untested = averages.rows
    assert math.isfinite(tested.low)
    assert math.isnan(untested.low)
    assert (untested.rank_low, untested.letters, averages.comparisons) == (None, "", ())


def test_one_dataset_and_different_metrics_have_no_average(
    world: tuple[BoardSpec, Leaderboard], store: RunStore
) -> None:
    spec, _ = world
    one = build_leaderboard("toy", spec.model_copy(update={"datasets": ("toy",)}), store)
    assert one.averages is None
    assert "averages" not in json.loads(export_leaderboard(one, "json"))


def test_boards_of_one_dataset_each_become_one_table(world: tuple[BoardSpec, Leaderboard], store: RunStore) -> None:
    spec, board = world
    specs = {name: spec.model_copy(update={"datasets": (name,), "title": name.title()}) for name in ("toy", "sample")}
    together = build_together(specs, store, labels=True)
    assert (together.board, together.title) == ("toy-sample", "Toy and Sample")
    assert replace(together, board=board.board, title=board.title) == board
    other = {**specs, "sample": specs["sample"].model_copy(update={"alpha": 0.01})}
    with pytest.raises(IncompatibleRunsError, match=r"'toy' and 'sample' cannot share a table: alpha is 0.05 and 0.01"):
        build_together(other, store)
    with pytest.raises(IncompatibleRunsError, match="dataset 'toy' is on two of the boards"):
        build_together({"toy": specs["toy"], "more": spec}, store)


def test_f1_of_labels_is_that_of_scikit_learn(
    world: tuple[BoardSpec, Leaderboard], store: RunStore, settings: Settings
) -> None:
    _, board = world
    by_key = {(score.dataset, score.predictor, score.label): score for score in board.label_scores}
    assert (
        len(by_key)
        == len(board.label_scores)
        == sum(len(header.labels) * len(board.of_dataset(header.dataset)) for header in board.datasets)
    )
    for header in board.datasets:
        gold = gold_of(settings, header.dataset)
        labels, truth = list(header.labels), list(gold.values())
        best = dict.fromkeys(labels, 0.0)
        for entry in board.of_dataset(header.dataset):
            said = [store.find(str(store.layout.root / run)).predictions() for run in entry.runs]
            rows = [
                f1_score(truth, [run[key].label for key in gold], labels=labels, average=None, zero_division=0)
                for run in said
            ]
            for label, f1 in zip(labels, np.mean(rows, axis=0), strict=True):
                score = by_key[header.dataset, entry.predictor, label]
                assert score.f1 == pytest.approx(f1)
                assert score.n_utterances == truth.count(label)
                assert score.low <= score.f1 <= score.high
                best[label] = max(best[label], f1)
        for label, highest in best.items():
            winners = [s for s in board.label_scores if (s.dataset, s.label) == (header.dataset, label) and s.best]
            assert {round(winner.f1, 4) for winner in winners} == {round(highest, 4)}


def test_an_ablation_corrects_over_the_variants_only(world: tuple[BoardSpec, Leaderboard]) -> None:
    _, board = world
    frame = board.to_frame("ablation", full=BAD)
    toy = frame[frame["dataset"] == "toy"]
    assert list(toy["predictor"]) == [BAD, GOOD, LONELY]
    assert toy["difference"].isna().tolist() == [True, False, False]
    raw = {frozenset((p.a, p.b)): p for p in board.comparisons if p.dataset == "toy"}
    tests = [raw[frozenset((BAD, name))] for name in (GOOD, LONELY)]
    smaller, larger = sorted(pair.p_value for pair in tests)
    holm = {smaller: min(2 * smaller, 1), larger: max(larger, min(2 * smaller, 1))}
    for (_, row), pair in zip(toy.iloc[1:].iterrows(), tests, strict=True):
        assert row["p_value"] == pair.p_value
        assert row["p_adjusted"] == pytest.approx(holm[pair.p_value])
        assert row["different"] == (row["p_adjusted"] <= 0.05)
        assert row["low"] < row["difference"] < row["high"]
        scores = {entry.predictor: entry.score for entry in board.of_dataset("toy")}
        assert row["difference"] == pytest.approx(scores[row["predictor"]] - scores[BAD])
    mean = frame[frame["dataset"] == ""]
    assert list(mean["predictor"]) == [BAD, GOOD]
    assert board.averages is not None
    assert mean["difference"].iloc[1] == pytest.approx(board.averages.comparisons[0].difference)
    assert mean["low"].iloc[1] == pytest.approx(board.averages.comparisons[0].low)


@pytest.mark.parametrize("table", TABLES)
def test_a_frame_says_what_the_csv_says_and_every_column_is_documented(
    world: tuple[BoardSpec, Leaderboard], table: str
) -> None:
    _, board = world
    full = GOOD if table == "ablation" else None
    frame = board.to_frame(table, full=full)
    rows = list(csv.reader(StringIO(export_leaderboard(board, "csv", table, full=full)), strict=True))
    assert list(frame.columns) == rows[0]
    assert len(frame) == len(rows) - 1 > 0
    documented = {column.name: column.about for column in COLUMNS[table]}
    for name in frame.columns:
        place, _, rest = name.partition(".")
        known = {name, f"{place}.NAME", f"DATASET.{rest}", "DATASET.metric.NAME", "average.FIELD"}
        assert any(len(documented.get(one, "")) > 3 for one in known), name
    for j, name in enumerate(frame.columns):
        for value, shown in zip(frame[name], (row[j] for row in rows[1:]), strict=True):
            if shown == "":
                assert value == "" or np.isnan(np.float64(value)) if isinstance(value, float | str) else True
            elif frame[name].dtype == "float64":
                assert value == pytest.approx(float(shown), rel=1e-9)
            else:
                assert str(value).lower() == shown.lower()


def test_frames_have_types_to_reckon_with(world: tuple[BoardSpec, Leaderboard]) -> None:
    _, board = world
    frame = board.to_frame()
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert (kinds["score"], kinds["rank_low"], kinds["top"], kinds["n_resamples"]) == (
        "float64", "Int64", "boolean", "Int64",
    )  # fmt: skip
    assert frame.groupby("dataset")["score"].max().to_dict() == {
        header.dataset: board.of_dataset(header.dataset)[0].score for header in board.datasets
    }
    assert len(board.to_frame("labels").pivot(index=["dataset", "predictor"], columns="label", values="f1")) == 5
    with pytest.raises(UnknownNameError, match=r"unknown table 'pair'; did you mean 'pairs'"):
        board.to_frame("pair")
    with pytest.raises(ConfigError, match="table 'main' has no full system"):
        board.to_frame(full=GOOD)
