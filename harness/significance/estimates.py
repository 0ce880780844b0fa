"""Estimates with their variance: scores of systems and differences of pairs, in either scope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.influence import clustered_variance
from harness.significance.intervals import t_interval
from harness.significance.panel import Panel
from harness.significance.seeds import SeedVariance, total_variance


@dataclass(frozen=True, eq=False)
class Estimates:
    """Values with variance and degrees of freedom, float64 (n,) each."""

    value: FloatArray
    dialogue_variance: FloatArray
    """The part from the choice of dialogues."""
    variance: FloatArray
    """All of it: in procedure scope seeds are added."""
    df: FloatArray
    """Degrees of freedom of `variance`."""

    @property
    def se(self) -> FloatArray:
        """float64 (n,): standard error."""
        return np.sqrt(self.variance)

    def interval(self, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Returns low and high of the 1 - alpha t-interval."""
        return t_interval(self.value, self.se, self.df, alpha)


def estimate_scores(panel: Panel, seeds: SeedVariance) -> Estimates:
    """Returns the mean score of every system."""
    dialogue = clustered_variance(panel.mean_influence)
    systems = np.arange(panel.n_systems)[:, None]
    return Estimates(panel.mean_score, dialogue, *total_variance(dialogue, panel.n_dialogues, seeds, systems))


@dataclass(frozen=True, eq=False)
class PairFamily:
    """The pairs that are tested together, one row each."""

    panel: Panel
    first: IntArray
    """int64 (n_pairs,): index of the system from whose score the other's is taken."""
    second: IntArray
    """int64 (n_pairs,): index of the other."""
    estimates: Estimates
    """Their differences."""


def pair_family(panel: Panel, seeds: SeedVariance, systems: IntArray, baseline: int | None = None) -> PairFamily:
    """Returns all pairs among the systems at these indices, or only those of each system with the baseline."""
    if baseline is None:
        upper, lower = np.triu_indices(systems.size, 1)
        first, second = systems[upper], systems[lower]
    else:
        first = systems[systems != baseline]
        second = np.full_like(first, baseline)
    # The variance of the difference itself, since sums of variances and covariances cancel.
    dialogue = clustered_variance(panel.mean_influence[first] - panel.mean_influence[second])
    pairs = np.stack([first, second], axis=1)
    return PairFamily(
        panel,
        first,
        second,
        Estimates(
            panel.mean_score[first] - panel.mean_score[second],
            dialogue,
            *total_variance(dialogue, panel.n_dialogues, seeds, pairs),
        ),
    )
