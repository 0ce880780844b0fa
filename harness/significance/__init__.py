"""Honest comparison of systems: intervals, paired tests, corrections, rank sets and letters, the dialogue as unit.

`compare_systems` is the entry; `compare_arrays` takes plain integer arrays. Everything starts from confusion counts per
dialogue and a `Metric`. This package knows nothing of runs, stores or files, and needs only numpy and scipy.special.
"""

from harness.significance.arrays import compare_arrays
from harness.significance.compare import compare_systems
from harness.significance.result import SystemComparison
from harness.significance.simultaneous import SimultaneousIntervals, simultaneous_intervals

__all__ = [
    "SimultaneousIntervals",
    "SystemComparison",
    "compare_arrays",
    "compare_systems",
    "simultaneous_intervals",
]
