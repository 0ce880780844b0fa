"""Intervals against scipy.stats, and the degenerate cases."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from harness.errors import ConfigError
from harness.significance.intervals import (
    basic_interval,
    bca_interval,
    check_replicates,
    percentile_interval,
    row_quantiles,
    t_interval,
    t_p_value,
)


def test_t_equals_scipy():
    estimate, se, df = np.array([0.5, -0.2]), np.array([0.02, 0.3]), np.array([279.0, 8.4])
    low, high = t_interval(estimate, se, df, 0.1)
    expected = stats.t.interval(0.9, df, loc=estimate, scale=se)
    assert low == pytest.approx(expected[0], abs=1e-12) and high == pytest.approx(expected[1], abs=1e-12)
    assert t_p_value(estimate, se, df) == pytest.approx(2 * stats.t.sf(np.abs(estimate / se), df), rel=1e-10)


def test_without_spread_the_interval_is_the_point_and_p_is_0_or_1():
    estimate, nothing, df = np.array([0.5, 0.0]), np.zeros(2), np.array([9.0, 9.0])
    assert [end.tolist() for end in t_interval(estimate, nothing, df, 0.05)] == [[0.5, 0.0], [0.5, 0.0]]
    assert t_p_value(estimate, nothing, df).tolist() == [0.0, 1.0]


def variance(sample, axis=-1):
    return np.var(sample, axis=axis)


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa"])
def test_check_09_bootstrap_ends_equal_scipy_on_the_same_replicates(method):
    """The variance of a skewed sample, so that bias and acceleration matter."""
    samples = [np.random.default_rng(seed).exponential(size=40) for seed in range(3)]
    options = {"method": method, "confidence_level": 0.9, "vectorized": True}
    drawn = [
        stats.bootstrap((x,), variance, n_resamples=4000, rng=np.random.default_rng(9), **options) for x in samples
    ]
    replicates = np.stack([result.bootstrap_distribution for result in drawn])
    estimate = np.array([variance(x) for x in samples])
    left_out = np.array([[variance(np.delete(x, g)) for g in range(40)] for x in samples])
    ours = {
        "percentile": lambda: percentile_interval(replicates, 0.1),
        "basic": lambda: basic_interval(estimate, replicates, 0.1),
        "BCa": lambda: bca_interval(estimate, replicates, left_out, 0.1),
    }[method]()
    theirs = SimpleNamespace(
        low=[r.confidence_interval.low for r in drawn], high=[r.confidence_interval.high for r in drawn]
    )
    assert ours[0] == pytest.approx(theirs.low, abs=2e-4) and ours[1] == pytest.approx(theirs.high, abs=2e-4)


def test_bca_without_spread_is_the_point():
    low, high = bca_interval(np.array([0.5]), np.full((1, 100), 0.5), np.full((1, 12), 0.5), 0.05)
    assert low == [0.5] and high == [0.5]


def test_row_quantiles_equal_numpy():
    rng = np.random.default_rng(0)
    rows, levels = np.sort(rng.random((5, 101)), axis=1), np.array([0.0, 0.013, 0.5, 0.777, 1.0])
    expected = [np.quantile(row, level) for row, level in zip(rows, levels, strict=True)]
    assert row_quantiles(rows, levels) == pytest.approx(expected)


def test_too_few_replicates_for_the_tails():
    check_replicates(41, 0.05)
    with pytest.raises(ConfigError, match=r"n_resamples=39 is too few for alpha=0\.05; use 41 or more"):
        check_replicates(39, 0.05)
