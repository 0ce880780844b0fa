"""Intervals for all differences that hold at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics import Metric
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.estimates import pair_family
from harness.significance.intervals import check_replicates
from harness.significance.panel import build_panel
from harness.significance.seeds import no_seed_variance
from harness.significance.streams import check_numbers
from harness.significance.studentised import simultaneous_critical_value


@dataclass(frozen=True, eq=False)
class SimultaneousIntervals:
    """Differences with intervals that cover jointly; float64 (n_systems, n_systems), [a, b] = a minus b."""

    difference: FloatArray
    low: FloatArray
    high: FloatArray
    critical_value: float
    """Standard errors on either side."""


def simultaneous_intervals(
    counts: Sequence[IntArray], metric: Metric, *, alpha: float = 0.05, n_resamples: int = 10_000, seed: int = 0
) -> SimultaneousIntervals:
    """Returns intervals of all differences at fixed predictions that hold together with confidence 1 - alpha.

    Unit: the dialogue. Single-step studentised bootstrap: wider than the test needs, so a pair that step-down max-T
    rejects may still touch 0; say so beside the table.
    Source: Romano & Wolf 2005; Davison & Hinkley 1997, section 5.2.

    Args:
        counts: per system, int64 (1, n_dialogues, n_labels, n_labels + 1), all on the same gold.
        metric: what to score; needs a gradient.
        alpha: one minus the joint level.
        n_resamples: number of replicates.
        seed: key of the random streams.

    Raises:
        ConfigError: a metric without gradient, several seeds, too few replicates, or as `build_panel` says.
        IncompatibleRunsError: systems were scored on different gold.
    """
    check_numbers(alpha, n_resamples, seed)
    panel = build_panel(counts, metric)
    panel.check_one_run_each()
    check_replicates(n_resamples, alpha)
    family = pair_family(panel, no_seed_variance(panel.n_systems), np.arange(panel.n_systems))
    q = simultaneous_critical_value(family, alpha, n_resamples, seed) if family.first.size else 0.0
    half = np.zeros((panel.n_systems, panel.n_systems))
    half[family.first, family.second] = half[family.second, family.first] = q * family.estimates.se
    difference = panel.mean_score[:, None] - panel.mean_score[None, :]
    return SimultaneousIntervals(difference, difference - half, difference + half, q)
