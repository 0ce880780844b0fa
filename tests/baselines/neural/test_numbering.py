"""Standardised features."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.neural.numbering import measure_scales


@pytest.mark.parametrize("constant", [0.3, 1e5, -7.0, 0.0])
def test_a_constant_feature_is_recognised_among_many_rows(constant: float) -> None:
    rows = np.random.default_rng(0).normal(3.0, 2.0, (9_989, 2)).astype(np.float32)
    rows[:, 1] = constant
    mean, deviation = measure_scales({"audio": rows})["audio"]
    assert (mean.dtype, deviation[1]) == (np.float32, 1.0)
    assert mean[1] == pytest.approx(constant, rel=1e-6)
    np.testing.assert_allclose([mean[0], deviation[0]], [rows[:, 0].mean(), rows[:, 0].std()], rtol=1e-4)
