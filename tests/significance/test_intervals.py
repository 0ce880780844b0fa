"""t-intervals against scipy.stats, and the degenerate cases."""

import numpy as np
import pytest
from scipy import stats

from harness.significance.intervals import t_interval, t_p_value


def test_equal_to_scipy():
    estimate, se, df = np.array([0.5, -0.2]), np.array([0.02, 0.3]), np.array([279.0, 8.4])
    low, high = t_interval(estimate, se, df, 0.1)
    expected = stats.t.interval(0.9, df, loc=estimate, scale=se)
    assert low == pytest.approx(expected[0], abs=1e-12) and high == pytest.approx(expected[1], abs=1e-12)
    assert t_p_value(estimate, se, df) == pytest.approx(2 * stats.t.sf(np.abs(estimate / se), df), rel=1e-10)


def test_without_spread_the_interval_is_the_point_and_p_is_0_or_1():
    estimate, nothing, df = np.array([0.5, 0.0]), np.zeros(2), np.array([9.0, 9.0])
    assert [end.tolist() for end in t_interval(estimate, nothing, df, 0.05)] == [[0.5, 0.0], [0.5, 0.0]]
    assert t_p_value(estimate, nothing, df).tolist() == [0.0, 1.0]
