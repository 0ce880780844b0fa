"""Variance from dialogues and training seeds together (procedure scope), in closed form.

Seeds are crossed with dialogues: every seed is scored on the same ones. They are not paired across systems: the first
seed of one has nothing to do with the first seed of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.influence import clustered_variance


@dataclass(frozen=True, eq=False)
class SeedVariance:
    """What training seeds add to the variance of each system's mean score, float64 (n_systems,)."""

    seed: FloatArray
    """Variance of the per-seed scores over the number of seeds; 0 with one seed."""
    interaction: FloatArray
    """Its part that is seed-by-dialogue noise, which the dialogue variance already holds."""
    n_seeds: IntArray
    """Runs per system."""

    @property
    def net(self) -> FloatArray:
        """What is to be added to the dialogue variance, not below 0."""
        return np.maximum(self.seed - self.interaction, 0.0)


def seed_variance(scores: Sequence[FloatArray], influences: Sequence[FloatArray]) -> SeedVariance:
    """Returns the seed parts of each system's variance.

    Args:
        scores: per system, float64 (n_seeds,).
        influences: per system, float64 (n_seeds, n_dialogues).

    Source: two-way clustering of Cameron, Gelbach & Miller 2011; Owen 2007; Bouthillier et al. 2021.
    """
    n_seeds = np.array([score.size for score in scores], np.int64)
    seed, interaction = np.zeros(n_seeds.size), np.zeros(n_seeds.size)
    for system, (score, influence) in enumerate(zip(scores, influences, strict=True)):
        if score.size > 1:
            seed[system] = score.var(ddof=1) / score.size
            spread = influence - influence.mean(axis=0)
            interaction[system] = clustered_variance(spread).sum() / ((score.size - 1) * score.size)
    return SeedVariance(seed, interaction, n_seeds)


def no_seed_variance(n_systems: int) -> SeedVariance:
    """Returns zeros: the claim is about these predictions only (checkpoint scope)."""
    return SeedVariance(np.zeros(n_systems), np.zeros(n_systems), np.ones(n_systems, np.int64))


def total_variance(
    dialogue: FloatArray, n_dialogues: int, seeds: SeedVariance, systems: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Returns variance and Satterthwaite degrees of freedom of scores or differences, float64 (n,) each.

    Args:
        dialogue: float64 (n,), clustered variance of the mean influence values, or of their difference.
        n_dialogues: number of dialogues.
        seeds: seed parts per system.
        systems: int64 (n, 1) for scores, (n, 2) for differences: whose seed parts belong to each row.

    Source: Satterthwaite 1946.
    """
    variance = dialogue + seeds.net[systems].sum(axis=1)
    seed_terms = seeds.seed**2 / np.maximum(seeds.n_seeds - 1, 1)
    spread = dialogue**2 / (n_dialogues - 1) + seed_terms[systems].sum(axis=1)
    df = np.where(spread > 0, variance**2 / np.where(spread > 0, spread, 1.0), n_dialogues - 1.0)
    return variance, df
