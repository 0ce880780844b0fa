"""Corrections against statsmodels and full enumeration."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from harness.significance.corrections import Exceedances, benjamini_hochberg, bonferroni, holm


@pytest.mark.parametrize(
    ("ours", "theirs"), [(holm, "holm"), (bonferroni, "bonferroni"), (benjamini_hochberg, "fdr_bh")]
)
@pytest.mark.parametrize("size", [1, 2, 45, 190])
def test_check_11_equal_to_statsmodels(ours, theirs, size):
    rng = np.random.default_rng(size)
    for p in (rng.random(size), rng.random(size) ** 4, np.round(rng.random(size), 1)):  # with ties too
        assert ours(p) == pytest.approx(multipletests(p, method=theirs)[1], abs=1e-12)


def naive_max_t(observed, null):
    """Raw, step-down and single-step p-values straight from the definition, with the observed statistic added."""
    n = null.shape[1]
    raw = [(1 + sum(row >= t - 1e-6)) / (n + 1) for t, row in zip(observed, null, strict=True)]
    single = [(1 + sum(null.max(axis=0) >= t - 1e-6)) / (n + 1) for t in observed]
    step_down, floor = [0.0] * len(observed), 0.0
    remaining = sorted(range(len(observed)), key=lambda j: -observed[j])
    while remaining:
        j = remaining[0]
        floor = max(floor, (1 + sum(null[remaining].max(axis=0) >= observed[j] - 1e-6)) / (n + 1))
        step_down[j] = floor
        remaining = remaining[1:]
    return np.array(raw), np.array(step_down), np.array(single)


@pytest.mark.parametrize("seed", range(3))
def test_check_12_max_t_equals_its_definition_in_blocks_of_any_size(seed):
    rng = np.random.default_rng(seed)
    null = np.abs(rng.normal(size=(12, 300)) + rng.normal(size=300))
    observed = np.abs(rng.normal(0, 2, 12))
    raw, step_down, single = naive_max_t(observed, null)
    for size in (1, 7, 300):
        counter = Exceedances(observed, joint=True)
        for start in range(0, 300, size):
            counter.add(null[counter.order, start : start + size].copy())
        ours = counter.p_values(exact=False)
        assert (ours[0] == raw).all() and (ours[1] == step_down).all()
        assert (counter.single_step(exact=False) == single).all()
    assert (raw <= step_down).all() and (step_down <= single).all()
    assert (np.diff(step_down[np.argsort(-observed)]) >= 0).all()


def test_check_12_one_hypothesis_keeps_its_raw_p():
    counter = Exceedances(np.array([1.0]), joint=True)
    counter.add(np.array([[0.5, 1.0, 2.0, 0.1]]))
    assert [p.tolist() for p in counter.p_values(exact=False)] == [[0.6], [0.6]]  # (1 + 2) / (1 + 4)
    assert counter.single_step(exact=False).tolist() == [0.6]
    assert counter.p_values(exact=True)[0].tolist() == [0.5]


def test_ties_within_rounding_count():
    counter = Exceedances(np.array([1.0]), joint=False)
    counter.add(np.array([[1.0 - 1e-9, 0.99]]))
    assert counter.p_values(exact=True)[0].tolist() == [0.5]
