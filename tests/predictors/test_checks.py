"""Numbers that users give as parameters."""

from __future__ import annotations

import math

import pytest

from harness.errors import ConfigError
from harness.predictors.checks import check_fraction, check_not_negative, check_positive


def test_values_in_range_are_taken() -> None:
    check_positive(epochs=1, rate=1e-9)
    check_not_negative(patience=0, l2=0.5)
    check_fraction(dropout=0.0, warmup=0.999)


def test_values_out_of_range_are_refused_by_name() -> None:
    for value in (0, -1, math.nan):
        with pytest.raises(ConfigError, match=f"parameter 'epochs': got {value}, expected a number above 0"):
            check_positive(dropout=0.5, epochs=value)
    for value in (-1, math.nan):
        with pytest.raises(ConfigError, match=f"parameter 'patience': got {value}, expected 0 or more"):
            check_not_negative(patience=value)
    for value in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match=f"'dropout': got {value}, expected a number from 0 up and below 1"):
            check_fraction(dropout=value)
