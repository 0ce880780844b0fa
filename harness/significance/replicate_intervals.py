"""Bootstrap intervals for scores and differences of single runs, where the default t-interval is not wanted.

Unit: the dialogue, drawn once for all systems. By simulation none covers better than the t-interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from harness.metrics.confusion import FloatArray
from harness.significance.bootstrap import bootstrap_scores
from harness.significance.estimates import Estimates, PairFamily
from harness.significance.influence import leave_one_out
from harness.significance.intervals import Ends, basic_interval, bca_interval, percentile_interval
from harness.significance.studentised import pair_critical_values, score_critical_values

PAIRS_AT_ONCE = 64

ReplicateInterval = Callable[[FloatArray, FloatArray, FloatArray, float], Ends]
"""(estimate, replicates, estimates without each dialogue, alpha) -> ends."""

FROM_REPLICATES: Mapping[str, ReplicateInterval] = {
    "percentile": lambda _estimate, replicates, _left_out, alpha: percentile_interval(replicates, alpha),
    "basic": lambda estimate, replicates, _left_out, alpha: basic_interval(estimate, replicates, alpha),
    "bca": bca_interval,
}


def bootstrap_intervals(
    kind: str, scores: Estimates, family: PairFamily, *, alpha: float, n_resamples: int, seed: int
) -> tuple[Ends, Ends]:
    """Returns intervals of the scores, (n_systems,), and of the differences, (n_pairs,).

    Args:
        kind: a key of `FROM_REPLICATES`, or "bootstrap-t".
        scores: score of each system, one run each.
        family: the pairs.
        alpha: one minus the level.
        n_resamples: number of replicates.
        seed: key of the random streams.

    Raises:
        ConfigError: bootstrap-t with a metric that has no gradient.
    """
    panel = family.panel
    if kind == "bootstrap-t":
        q = score_critical_values(panel, scores.se, alpha, n_resamples, seed)
        q_pair = pair_critical_values(family, alpha, n_resamples, seed)
        return _around(scores, q), _around(family.estimates, q_pair)
    interval = FROM_REPLICATES[kind]
    replicates = bootstrap_scores(panel.all_runs, panel.metric, n_resamples=n_resamples, seed=seed)
    left_out = leave_one_out(panel.all_runs, panel.metric)
    low, high = np.empty(family.first.size), np.empty(family.first.size)
    for start in range(0, family.first.size, PAIRS_AT_ONCE):
        pairs = slice(start, start + PAIRS_AT_ONCE)
        a, b = family.first[pairs], family.second[pairs]
        moved = replicates[a] - replicates[b]
        # Each pair the same way round whoever comes first, since quantiles of -x are not those of x to the last bit.
        way = np.where(moved.sum(axis=1) < 0, -1.0, 1.0)
        turned = way[:, None] * moved, way[:, None] * (left_out[a] - left_out[b])
        ends = interval(way * family.estimates.value[pairs], *turned, alpha)
        low[pairs], high[pairs] = (np.where(way > 0, ends[i], -ends[1 - i]) for i in (0, 1))
    return interval(scores.value, replicates, left_out, alpha), (low, high)


def _around(estimates: Estimates, q: FloatArray) -> Ends:
    return estimates.value - q * estimates.se, estimates.value + q * estimates.se
