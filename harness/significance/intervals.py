"""Confidence intervals: from a standard error, or from replicates of the dialogue bootstrap."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from harness.errors import ConfigError
from harness.metrics.confusion import FloatArray

Ends = tuple[FloatArray, FloatArray]
"""Low and high."""


def t_interval(estimate: FloatArray, se: FloatArray, df: FloatArray, alpha: float) -> Ends:
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


def percentile_interval(replicates: FloatArray, alpha: float) -> Ends:
    """Returns the alpha/2 and 1 - alpha/2 quantiles of replicates (n, n_replicates); too short at about 30 dialogues.

    Source: Efron 1979; Davison & Hinkley 1997, section 5.3.
    """
    ordered = np.sort(replicates, axis=1)
    level = np.full(len(replicates), alpha / 2)
    return row_quantiles(ordered, level), row_quantiles(ordered, 1 - level)


def basic_interval(estimate: FloatArray, replicates: FloatArray, alpha: float) -> Ends:
    """Returns 2 estimate minus the percentile ends, swapped. Source: Davison & Hinkley 1997, section 5.2."""
    low, high = percentile_interval(replicates, alpha)
    return 2 * estimate - high, 2 * estimate - low


def bca_interval(estimate: FloatArray, replicates: FloatArray, left_out: FloatArray, alpha: float) -> Ends:
    """Returns the bias-corrected and accelerated percentile interval; no better than t here, by simulation.

    Args:
        estimate: float64 (n,).
        replicates: float64 (n, n_replicates).
        left_out: float64 (n, n_dialogues), the estimate without each dialogue.
        alpha: one minus the level.

    Source: Efron 1987; DiCiccio & Efron 1996.
    """
    n_replicates = replicates.shape[1]
    ordered = np.sort(replicates, axis=1)
    below = (ordered < estimate[:, None]).mean(axis=1) + (ordered == estimate[:, None]).mean(axis=1) / 2
    bias = ndtri(np.clip(below, 1 / (2 * n_replicates), 1 - 1 / (2 * n_replicates)))
    centred = left_out.mean(axis=1, keepdims=True) - left_out
    squares = (centred**2).sum(axis=1)
    acceleration = (centred**3).sum(axis=1) / (6 * np.where(squares > 0, squares, 1.0) ** 1.5)

    def end(z: float) -> FloatArray:
        shifted = bias + z
        return row_quantiles(ordered, ndtr(bias + shifted / (1 - acceleration * shifted)))

    z = float(ndtri(alpha / 2))
    return end(z), end(-z)


def row_quantiles(ordered: FloatArray, levels: FloatArray) -> FloatArray:
    """Returns one quantile per row of sorted (n, n_replicates), interpolated linearly; levels float64 (n,)."""
    position = np.clip(levels, 0.0, 1.0) * (ordered.shape[1] - 1)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, ordered.shape[1] - 1)
    rows = np.arange(len(ordered))
    low, high = ordered[rows, lower], ordered[rows, upper]
    return np.asarray(low + (position - lower) * (high - low))


def check_replicates(n_replicates: int, alpha: float) -> None:
    """Refuses quantiles beyond the outermost replicates.

    Raises:
        ConfigError: fewer than 2/alpha replicates.
    """
    if n_replicates * alpha < 2:
        raise ConfigError(
            f"n_resamples={n_replicates!r} is too few for alpha={alpha!r}; use {int(2 / alpha) + 1} or more"
        )
