"""Honest comparison of systems: intervals, paired tests, corrections, rank sets and letters, the dialogue as unit.

`compare_systems` is the entry; `compare_arrays` takes plain integer arrays; `compare_across` averages over datasets.
Everything starts from confusion counts per dialogue and a `Metric`. This package knows nothing of runs, stores or
files, and needs only numpy and scipy.special.
"""

from harness.significance.across import MacroAverage, compare_across
from harness.significance.arrays import compare_arrays, design_effects
from harness.significance.bayes import Posterior, posterior
from harness.significance.compare import compare_systems
from harness.significance.decomposition import VarianceParts, decompose_variance
from harness.significance.friedman import FriedmanResult, friedman_nemenyi
from harness.significance.power import dialogues_needed, planned_se, power_at, seeds_needed, smallest_detectable
from harness.significance.replicability import count_wins
from harness.significance.result import SystemComparison
from harness.significance.simultaneous import SimultaneousIntervals, simultaneous_intervals
from harness.significance.units import regroup

__all__ = [
    "FriedmanResult",
    "MacroAverage",
    "Posterior",
    "SimultaneousIntervals",
    "SystemComparison",
    "VarianceParts",
    "compare_across",
    "compare_arrays",
    "compare_systems",
    "count_wins",
    "decompose_variance",
    "design_effects",
    "dialogues_needed",
    "friedman_nemenyi",
    "planned_se",
    "posterior",
    "power_at",
    "regroup",
    "seeds_needed",
    "simultaneous_intervals",
    "smallest_detectable",
]
