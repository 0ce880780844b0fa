"""Ranks over many datasets taken as a sample: Friedman's test and Nemenyi's critical difference.

Only from six datasets on. Fewer are fixed strata: see `compare_across` and `count_wins`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, ndtr

from harness.errors import ConfigError
from harness.metrics.confusion import FloatArray
from harness.significance.ranks import BoolArray

FEWEST_DATASETS = 6


@dataclass(frozen=True, eq=False)
class FriedmanResult:
    """Mean ranks over datasets; 1 is best."""

    mean_rank: FloatArray
    """float64 (n_systems,)."""
    n_datasets: int
    p_value: float
    """Of Friedman's test that all systems rank alike on average."""
    critical_difference: float
    """Mean ranks further apart than this differ, all pairs at once (Nemenyi)."""
    different: BoolArray
    """bool (n_systems, n_systems): pairs that far apart, where Friedman's test rejects; else none."""


def friedman_nemenyi(scores: FloatArray, alpha: float = 0.05) -> FriedmanResult:
    """Tests whether systems rank differently over datasets, and which pairs do.

    Null hypothesis: on every dataset all orders of the systems are equally likely. Unit: the dataset, taken as a draw
    from the datasets one speaks of; noise within a dataset is not looked at. Chi-square approximation with correction
    for ties, then critical difference q sqrt(M (M + 1) / (6 K)). Never feed seeds or folds as datasets.
    Source: Friedman 1937; Nemenyi 1963; Demšar 2006, section 3.2.

    Args:
        scores: float64 (n_systems, n_datasets), higher is better.
        alpha: level of both tests.

    Raises:
        ConfigError: fewer than six datasets, fewer than three systems, a score that is no number, or no such alpha.
    """
    n_systems, n_datasets = scores.shape
    if n_datasets < FEWEST_DATASETS:
        raise ConfigError(
            f"{n_datasets} datasets are too few for ranks over datasets: with so many the smallest two-sided p that a "
            f"signed-rank test of two systems can give is {2 / 2**n_datasets:.3g}; use compare_across (average over "
            f"datasets) or count_wins (on how many one beats the other), or give {FEWEST_DATASETS} datasets or more"
        )
    if n_systems < 3 or not np.isfinite(scores).all() or not 0 < alpha < 1:
        raise ConfigError(
            f"scores have shape {scores.shape!r} and alpha is {alpha!r}; give 3 systems or more, every system "
            "scored on every dataset, alpha between 0 and 1"
        )
    ranks = average_ranks(scores)
    mean_rank, middle = ranks.mean(axis=1), (n_systems + 1) / 2
    spread = float(((ranks - middle) ** 2).sum()) / (n_datasets * (n_systems - 1))  # M (M + 1) / 12 without ties
    statistic = n_datasets * float(((mean_rank - middle) ** 2).sum()) / spread if spread else 0.0
    p_value = float(chdtrc(n_systems - 1, statistic))
    width = range_quantile(n_systems, alpha) / math.sqrt(2) * math.sqrt(n_systems * (n_systems + 1) / (6 * n_datasets))
    apart = np.abs(mean_rank[:, None] - mean_rank[None, :]) > width
    return FriedmanResult(mean_rank, n_datasets, p_value, width, apart & (p_value <= alpha))


def average_ranks(scores: FloatArray) -> FloatArray:
    """Returns ranks within each column, float64 (n_systems, n_datasets); 1 is best, ties share their mean rank."""
    better = (scores[None] > scores[:, None]).sum(axis=1)
    equal = (scores[None] == scores[:, None]).sum(axis=1)
    return np.asarray(better + (equal + 1) / 2)


def range_quantile(n: int, alpha: float) -> float:
    """Returns the 1 - alpha quantile of the range of n standard normals, which is n times the integral over z of
    phi(z) (Phi(z) - Phi(z - q))^(n - 1) set to 1 - alpha, by bisection."""
    z = np.linspace(-9, 9, 3601)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    low, high = 0.0, 20.0
    while high - low > 1e-9:
        q = (low + high) / 2
        share = n * float((density * (ndtr(z) - ndtr(z - q)) ** (n - 1)).sum()) * (z[1] - z[0])
        low, high = (q, high) if share < 1 - alpha else (low, q)
    return (low + high) / 2
