"""Bootstrap-t for all pairs at once: replicates of each difference over their own standard errors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.errors import ConfigError
from harness.metrics import Metric, Totals
from harness.metrics.confusion import FloatArray
from harness.significance.bootstrap import count_matrix, dialogue_draws
from harness.significance.corrections import Exceedances
from harness.significance.estimates import PairFamily
from harness.significance.pair_tests import PairTest
from harness.significance.panel import Panel

SMALLEST_SE = 0.1
"""Replicates of a standard error count as at least this share of the observed one: a replicate may miss the only
dialogues in which two near-identical systems differ."""


def studentised_replicates(
    totals: Totals, metric: Metric, n_resamples: int, seed: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yields blocks of replicate scores (n_runs, k) and their covariance matrices (k, n_runs, n_runs), float64.

    The covariance of a replicate is G/(G - 1) sum_g W_g u_g u_g', with the gradient at the replicate's own totals.

    Raises:
        ConfigError: the metric has no gradient.
    """
    if metric.gradient is None:
        raise ConfigError(
            f"metric {metric.name!r} has no gradient, which bootstrap-t needs; use another test or interval"
        )
    counts, n_dialogues = count_matrix(totals), totals.tp.shape[1]
    sup = np.broadcast_to(totals.sup, totals.tp.shape)
    runs = np.concatenate([totals.tp, totals.den, sup], axis=2).swapaxes(1, 2)
    for weights in dialogue_draws(n_dialogues, n_resamples, seed):
        replicate = counts.resampled(weights)
        weighted = np.concatenate(metric.gradient(replicate), axis=2) @ runs
        weighted *= np.sqrt(weights)
        by_replicate = weighted.swapaxes(0, 1)
        covariance = by_replicate @ by_replicate.swapaxes(1, 2)
        yield metric.value(replicate), n_dialogues / (n_dialogues - 1) * covariance


def pair_replicates(family: PairFamily, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yields blocks of |d* - d| / SE*, float64 (n_pairs, k); 0 where two systems never differ."""
    panel, a, b = family.panel, family.first, family.second
    floor = SMALLEST_SE * family.estimates.se[:, None]
    for scores, covariance in studentised_replicates(panel.all_runs, panel.metric, n_resamples, seed):
        by_system = np.ascontiguousarray(covariance.transpose(1, 2, 0))
        own = np.einsum("mmk->mk", by_system)
        variance = own[a] + own[b] - 2 * by_system[a, b]
        se = np.sqrt(np.maximum(variance, floor**2))
        moved = np.abs(scores[a] - scores[b] - family.estimates.value[:, None])
        yield np.divide(moved, se, out=np.zeros_like(moved), where=floor > 0)


def bootstrap_t(family: PairFamily, n_resamples: int, seed: int, *, step_down: bool = False) -> PairTest:
    """Tests each pair by the studentised bootstrap of its difference, all pairs on the same resampled dialogues.

    Null hypothesis: the two scores are equal in the population of dialogues. Unit: the dialogue. Assumes that the
    studentised difference is pivotal; symmetric, p = (1 + #{|T*| >= |d|/SE})/(B + 1).
    Source: Davison & Hinkley 1997, section 4.4; Romano & Wolf 2005 for max-T.
    """
    estimates = family.estimates
    observed = np.abs(estimates.value) / np.where(estimates.se > 0, estimates.se, 1.0)
    counter = Exceedances(observed, joint=step_down)
    for null in pair_replicates(family, n_resamples, seed):
        counter.add(null[counter.order])
    p_value, p_step_down = counter.p_values(exact=False)
    return PairTest(p_value, p_step_down, n_resamples, largest=counter.largest if step_down else None)


def pair_critical_values(family: PairFamily, alpha: float, n_resamples: int, seed: int) -> FloatArray:
    """Returns q per pair, float64 (n_pairs,), for the interval d -/+ q SE: the 1 - alpha quantile of its |T*|."""
    null = np.concatenate(list(pair_replicates(family, n_resamples, seed)), axis=1)
    return np.asarray(np.quantile(null, 1 - alpha, axis=1))


def simultaneous_critical_value(family: PairFamily, alpha: float, n_resamples: int, seed: int) -> float:
    """Returns one q such that all intervals d -/+ q SE hold at once with confidence 1 - alpha.

    Single-step: the 1 - alpha quantile over replicates of the largest |T*| of any pair. A step-down test may reject a
    pair whose simultaneous interval still touches 0.
    """
    largest = np.concatenate([null.max(axis=0) for null in pair_replicates(family, n_resamples, seed)])
    return float(np.quantile(largest, 1 - alpha))


def score_critical_values(panel: Panel, se: FloatArray, alpha: float, n_resamples: int, seed: int) -> FloatArray:
    """Returns q per system, float64 (n_systems,), for the interval score -/+ q SE: the quantile of its |T*|."""
    blocks = []
    for scores, covariance in studentised_replicates(panel.all_runs, panel.metric, n_resamples, seed):
        own = np.maximum(np.sqrt(np.einsum("kmm->mk", covariance)), SMALLEST_SE * se[:, None])
        blocks.append(np.abs(scores - panel.mean_score[:, None]) / np.where(own > 0, own, 1.0))
    return np.asarray(np.quantile(np.concatenate(blocks, axis=1), 1 - alpha, axis=1))
