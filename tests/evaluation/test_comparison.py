"""Stored runs compared through the Python API, on the committed runs of MELD."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

import harness
from harness.errors import ConfigError, IncompatibleRunsError
from harness.evaluation.comparison import compare_all, compare_runs
from harness.store import Layout, RunStore, StoredRun

STORE = RunStore(Layout(Path(__file__).parents[2] / "results"))


@pytest.fixture(scope="module")
def runs() -> list[StoredRun]:
    return list(STORE.runs("meld", "test"))


def of(runs: list[StoredRun], label: str) -> list[StoredRun]:
    return [run for run in runs if run.manifest.predictor.label == label]


def test_all_pairs_are_what_each_pair_is_alone(runs: list[StoredRun]) -> None:
    compared = compare_all(runs)
    result = compared.result
    assert (compared.dataset, compared.unit, result.scope, result.correction) == (
        "meld",
        "dialogue",
        "procedure",
        "holm",
    )
    assert sorted(compared.labels) == sorted({run.manifest.predictor.label for run in runs})
    for a, b in combinations(range(len(compared.labels)), 2):
        alone = compare_runs(of(runs, compared.labels[a]), of(runs, compared.labels[b]), scope="procedure")
        assert alone.difference == pytest.approx(result.difference[a, b], abs=1e-12)
        assert alone.p_value == pytest.approx(result.p_value[a, b], rel=1e-9)
        assert result.p_adjusted[a, b] >= alone.p_value


def test_checkpoint_scope_takes_the_first_seed_of_each_system(runs: list[StoredRun]) -> None:
    compared = compare_all(list(reversed(runs)), scope="checkpoint", n_resamples=999)
    assert compared.result.n_seeds == (1,) * len(compared.labels)
    assert {system.runs[0].manifest.seed for system in compared.systems} == {0}
    assert (compared.result.test, compared.result.correction) == ("sign-flip", "max-t")


def test_metric_and_correction_are_chosen(runs: list[StoredRun]) -> None:
    compared = compare_all(runs, metric="accuracy", correction="none")
    majority = compared.labels.index("majority")
    assert compared.result.score[majority] == pytest.approx(1256 / 2610)  # neutral in MELD's test split
    assert (compared.result.p_adjusted == compared.result.p_value).all()


def test_errors_and_needs_of_a_pair_in_closed_form(runs: list[StoredRun]) -> None:
    found = compare_runs(of(runs, "stratified"), of(runs, "majority"))
    tables = [run.dialogues() for run in of(runs, "stratified")]
    seed_scores = [harness.score_table(table, ["weighted_f1"], None)["weighted_f1"] for table in tables]
    assert found.n_seeds_a == len(tables) == 5
    assert found.se_seed == pytest.approx(np.std(seed_scores, ddof=1) / math.sqrt(5), rel=1e-9)
    net = max(found.se_seed**2 - found.se_interaction**2, 0.0)
    assert found.se**2 == pytest.approx(found.se_dialogue**2 + net, rel=1e-9)
    assert found.detectable == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * found.se, rel=1e-9)
    ratio = (norm.ppf(0.975) + norm.ppf(0.8)) * found.se_dialogue / found.difference
    assert found.dialogues_needed == math.ceil(280 * ratio**2)
    assert found.seeds_needed == max(1, math.ceil(5 * net / (0.1 * found.se_dialogue**2)))


def test_the_bayesian_bootstrap_is_near_the_normal_one(runs: list[StoredRun]) -> None:
    pair = of(runs, "tfidf-svm")[:1], of(runs, "tfidf-logreg")[:1]
    found = compare_runs(*pair, rope=0.01)
    low, high = ((bound - found.difference) / found.se for bound in (-0.01, 0.01))
    assert found.probability_better == pytest.approx(norm.cdf(found.difference / found.se), abs=0.02)
    assert found.probability_equivalent == pytest.approx(norm.cdf(high) - norm.cdf(low), abs=0.03)
    turned = compare_runs(*reversed(pair), rope=0.01)
    assert found.probability_better is not None
    assert turned.probability_better == pytest.approx(1 - found.probability_better, abs=1e-12)


def test_what_cannot_be_compared_is_refused(runs: list[StoredRun]) -> None:
    with pytest.raises(ConfigError, match="no runs given"):
        compare_all([])
    with pytest.raises(IncompatibleRunsError, match="dataset"):
        compare_all([*runs, *STORE.runs("emorynlp", "test")])
    with pytest.raises(ConfigError, match="erc-harness run stratified --dataset meld --seed 0 1 2"):
        compare_runs(of(runs, "stratified")[:2], of(runs, "majority"))


def test_the_facade_has_both() -> None:
    assert harness.compare_all is compare_all
    assert harness.compare_runs is compare_runs
