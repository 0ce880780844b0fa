"""Two systems over several datasets, on the committed runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import norm

from harness.errors import ConfigError
from harness.evaluation.comparison import compare_runs
from harness.evaluation.datasets import Pair, compare_datasets
from harness.store import Layout, RunStore

STORE = RunStore(Layout(Path(__file__).parents[2] / "results"))


def pair_on(dataset: str, a: str, b: str) -> Pair:
    runs = STORE.runs(dataset, "test")
    first, second = ([run for run in runs if run.manifest.predictor.name == name] for name in (a, b))
    return first, second


@pytest.mark.parametrize("names", [("tfidf-svm", "tfidf-logreg"), ("stratified", "majority")])
def test_the_average_is_that_of_independent_differences(names: tuple[str, str]) -> None:
    pairs = [pair_on(dataset, *names) for dataset in ("meld", "emorynlp")]
    macro, wins = compare_datasets(pairs)
    single = [compare_runs(*pair) for pair in pairs]
    assert {macro.scope} == {one.scope for one in single}
    assert macro.difference == pytest.approx(sum(one.difference for one in single) / 2, abs=1e-12)
    assert macro.se == pytest.approx(sum(one.se**2 for one in single) ** 0.5 / 2, rel=1e-9)
    assert macro.p_value == pytest.approx(2 * norm.sf(abs(macro.difference) / macro.se), abs=0.02)
    one_sided = [sorted(one.p_value / 2 if sign * one.difference > 0 else 1 - one.p_value / 2 for one in single)
                 for sign in (1, -1)]  # fmt: skip
    # Two datasets: "on at least one" costs twice the smaller p, "on both" the larger.
    expected = [int(2 * low <= 0.05) + int(max(2 * low, high) <= 0.05) for low, high in one_sided]
    assert [wins.a, wins.b] == expected


def test_one_dataset_twice_and_other_systems_elsewhere_are_refused() -> None:
    meld = pair_on("meld", "tfidf-svm", "majority")
    with pytest.raises(ConfigError, match="give each once"):
        compare_datasets([meld, meld])
    with pytest.raises(ConfigError, match="'emorynlp'; give runs of the same two"):
        compare_datasets([meld, pair_on("emorynlp", "tfidf-logreg", "majority")])
    with pytest.raises(ConfigError, match="two or more datasets"):
        compare_datasets([meld])
