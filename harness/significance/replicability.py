"""On how many datasets a difference is real: partial conjunction, for two to five datasets taken as fixed.

So few datasets cannot carry a rank test over datasets: with five, its smallest two-sided p is .0625.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.result import SystemComparison


def partial_conjunction(p_values: FloatArray) -> FloatArray:
    """Returns, for u = 1 to n_datasets, p of the claim "a real difference on at least u datasets".

    p(u) = (n_datasets - u + 1) times the u-th smallest p, made monotone in u, at most 1. Assumes nothing about
    dependence between datasets. Source: Dror et al. 2017; Benjamini & Heller 2008.

    Args:
        p_values: float64 (..., n_datasets), one-sided towards one and the same system (see `one_sided`).
    """
    n_datasets = p_values.shape[-1]
    scaled = np.sort(p_values, axis=-1) * np.arange(n_datasets, 0, -1)
    return np.minimum(np.maximum.accumulate(scaled, axis=-1), 1.0)


def one_sided(p_value: FloatArray, difference: FloatArray) -> FloatArray:
    """Returns p against "better" from two-sided p: half of it where the difference is positive, else 1 minus half."""
    return np.where(difference > 0, p_value / 2, 1 - p_value / 2)


def count_wins(comparisons: Sequence[SystemComparison], alpha: float = 0.05) -> IntArray:
    """Returns int64 (n_systems, n_systems): the number of datasets on at least which the first beats the second.

    Each claim "at least u datasets" holds at level alpha, over all pairs at once, since p is taken after correction
    within each dataset. A dataset on which a pair was not tested counts as not won.

    Args:
        comparisons: one per dataset, of the same systems in the same order; higher scores are better.
        alpha: level.
    """
    one_way = [one_sided(np.nan_to_num(result.p_adjusted, nan=1.0), result.difference) for result in comparisons]
    return np.asarray((partial_conjunction(np.stack(one_way, axis=-1)) <= alpha).sum(axis=-1))
