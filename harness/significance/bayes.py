"""The Bayesian bootstrap over dialogues: descriptive probabilities for a single pair, never for ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import ConfigError
from harness.metrics import Metric
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.bootstrap import count_matrix
from harness.significance.panel import build_panel
from harness.significance.streams import BLOCK, WEIGHTS, blocks

HALF_A_POINT = 0.005
ROUNDING = 1e-12
"""Scores closer than this tie: sums under real weights differ in the last bits even between identical systems."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior probabilities of all pairs given one run each; float64 (n_systems, n_systems), [a, b] = a against b."""

    better: FloatArray
    """P(a scores higher than b); 1/2 counted for draws that tie."""
    equivalent: FloatArray
    """P(the two differ by less than the region of practical equivalence)."""
    rope: float
    """Half-width of that region, a fraction."""


def posterior(
    counts: Sequence[IntArray], metric: Metric, *, rope: float = HALF_A_POINT, n_resamples: int = 10_000, seed: int = 0
) -> Posterior:
    """Returns for each pair the posterior probability of being better, and of not mattering.

    Dialogues get independent exponential weights: the posterior of the population of dialogues under Rubin's
    improper prior. Unit: the dialogue. The claim is about fixed predictions, not about training procedures.
    Source: Rubin 1981; Kruschke 2018 for the region of practical equivalence.

    Args:
        counts: per system, int64 (1, n_dialogues, n_labels, n_labels + 1), all on the same gold.
        metric: what to score.
        rope: differences smaller than this do not matter; half a point by default.
        n_resamples: draws.
        seed: key of the random streams.

    Raises:
        ConfigError: several seeds, a negative rope, no draws, or as `build_panel` says.
        IncompatibleRunsError: systems were scored on different gold.
    """
    if not rope >= 0 or n_resamples < 1 or seed < 0:  # nan is refused too
        raise ConfigError(
            f"rope={rope!r}, n_resamples={n_resamples!r}, seed={seed!r}; give rope of 0 or more, n_resamples of 1 or "
            "more, seed of 0 or more"
        )
    panel = build_panel(counts, metric)
    panel.check_one_run_each()
    matrix = count_matrix(panel.all_runs, integer_weights=False)
    better = np.zeros((panel.n_systems, panel.n_systems))
    equivalent = np.zeros_like(better)
    for weights in exponential_weights(panel.n_dialogues, n_resamples, seed):
        scores = metric.value(matrix.resampled(weights))
        moved = scores[:, None] - scores[None, :]
        better += (np.sign(np.where(np.abs(moved) < ROUNDING, 0.0, moved)) / 2 + 0.5).sum(axis=2)
        equivalent += (np.abs(moved) < rope).sum(axis=2)
    if not metric.higher_is_better:
        better = better.T
    return Posterior(better / n_resamples, equivalent / n_resamples, rope)


def exponential_weights(n_dialogues: int, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yields blocks of independent Exp(1) weights, float64 (at most 256, n_dialogues), keyed by block."""
    for rng, size in blocks(seed, n_resamples, WEIGHTS):
        yield rng.standard_exponential((BLOCK, n_dialogues))[:size]
