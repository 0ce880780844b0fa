"""Confidence intervals from an estimate and its standard error."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr, stdtrit

from harness.metrics.confusion import FloatArray


def t_interval(estimate: FloatArray, se: FloatArray, df: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Returns low and high of estimate -/+ t(1 - alpha/2, df) se; the point itself where se is 0.

    Unit: the dialogue, through `se`. Assumes the studentised estimate is near a t with `df` degrees of freedom.
    Coverage stays near nominal at 30 dialogues, where percentile intervals fall short.
    Source: Cameron, Gelbach & Miller 2008 for few clusters; Miller 2024.
    """
    half = np.where(se > 0, stdtrit(df, 1.0 - alpha / 2.0) * se, 0.0)
    return estimate - half, estimate + half


def t_p_value(difference: FloatArray, se: FloatArray, df: FloatArray) -> FloatArray:
    """Returns the two-sided p of H0: the difference is 0; where se is 0, 1 if the difference is 0 and else 0."""
    t = np.abs(difference) / np.where(se > 0, se, 1.0)
    certain = np.where(difference == 0, 1.0, 0.0)
    return np.where(se > 0, 2.0 * stdtr(df, -t), certain)
