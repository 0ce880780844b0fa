"""All systems of one dataset: scores, influence values, and the differences of all tested pairs with their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .scores import Array, Metric, Sums, influence
from .tails import t_quantile, t_two_sided

FEWEST_SEEDS = 3
"""Runs that a system needs to take part in tests of procedures, unless it is deterministic."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with the variance it owes to units and to seeds."""

    value: float
    from_units: float
    variance: float
    df: float

    @property
    def se(self) -> float:
        """Standard error."""
        return float(np.sqrt(self.variance))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Returns the ends of the (1 - alpha) t-interval."""
        reach = t_quantile(alpha, self.df) * self.se if self.variance > 0 else 0.0
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float:
        """Two-sided p of no difference."""
        if self.variance > 0:
            return t_two_sided(self.value / self.se, self.df)
        return float(self.value == 0)


@dataclass(frozen=True, eq=False)
class Panel:
    """Counts of all runs of all systems of one dataset, units without gold left out."""

    counts: Sequence[Array]
    """Per system, int64 (n_seeds, n_units, n_labels, n_labels + 1)."""
    metric: Metric
    deterministic: Sequence[bool]
    procedure: bool
    """Whether the claim is about training procedures, so that seeds vary too, or about these very predictions."""

    @cached_property
    def sums(self) -> list[Sums]:
        """Per system, arrays (n_seeds, n_units, n_labels)."""
        return [Sums.of(own) for own in self.counts]

    @cached_property
    def sizes(self) -> Array:
        """float64 (n_units,): utterances of each unit."""
        return np.asarray(self.counts[0][0].sum(axis=(1, 2)).astype(float))

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.sizes.size)

    @property
    def effective_units(self) -> float:
        """How many units of equal size these are worth."""
        return float(self.sizes.sum() ** 2 / (self.sizes**2).sum())

    @cached_property
    def seed_scores(self) -> list[Array]:
        """Per system, float64 (n_seeds,)."""
        return [self.metric.value(own.map(lambda part: part.sum(axis=-2))) for own in self.sums]

    @cached_property
    def scores(self) -> Array:
        """float64 (n_systems,): means over seeds."""
        return np.array([own.mean() for own in self.seed_scores])

    @cached_property
    def influences(self) -> list[Array]:
        """Per system, float64 (n_seeds, n_units)."""
        return [influence(own, self.metric) for own in self.sums]

    @cached_property
    def mean_influence(self) -> Array:
        """float64 (n_systems, n_units)."""
        return np.array([own.mean(axis=0) for own in self.influences])

    @cached_property
    def tested(self) -> list[int]:
        """Systems that take part in the tests."""
        enough = [len(own) >= FEWEST_SEEDS for own in self.seed_scores]
        return [i for i, n in enumerate(enough) if n or self.deterministic[i] or not self.procedure]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of tested systems."""
        return [(a, b) for k, a in enumerate(self.tested) for b in self.tested[k + 1 :]]

    @cached_property
    def differences(self) -> list[Estimate]:
        """One for each pair."""
        return [
            self._estimate(self.scores[a] - self.scores[b], self.mean_influence[a] - self.mean_influence[b], (a, b))
            for a, b in self.pairs
        ]

    def score(self, system: int) -> Estimate:
        """Returns the mean score of a system."""
        return self._estimate(self.scores[system], self.mean_influence[system], (system,))

    def from_seeds(self, system: int) -> tuple[float, float]:
        """Returns the variance of a mean score between its seeds, and the part of it that the units explain already."""
        scores, moved = self.seed_scores[system], self.influences[system]
        n = len(scores)
        if n == 1 or not self.procedure:
            return 0.0, 0.0
        shared = sum(_clustered(own) for own in moved - moved.mean(axis=0)) / (n * (n - 1))
        return float(scores.var(ddof=1) / n), float(shared)

    def _estimate(self, value: float, moved: Array, systems: tuple[int, ...]) -> Estimate:
        """Source: Cameron, Gelbach & Miller 2011 (clusters two ways); Satterthwaite 1946 (degrees of freedom)."""
        units, seeds = _clustered(moved), [self.from_seeds(i) for i in systems]
        variance = units + sum(max(between - shared, 0.0) for between, shared in seeds)
        spread = units**2 / (self.n_units - 1)
        for i, (between, _) in zip(systems, seeds, strict=True):
            spread += between**2 / max(len(self.seed_scores[i]) - 1, 1)
        return Estimate(float(value), units, variance, variance**2 / spread if spread > 0 else self.n_units - 1.0)


def _clustered(moved: Array) -> float:
    """Returns n/(n - 1) times the sum of squares over units: the variance of a score by its influence values."""
    n = moved.size
    return float((moved**2).sum() * n / (n - 1))
