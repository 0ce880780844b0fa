"""What a comparison of systems returns."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics.confusion import FloatArray
from harness.significance.ranks import BoolArray


@dataclass(frozen=True, eq=False)
class SystemComparison:
    """Scores with intervals, all pairs with p-values, and the ranks that follow; fractions throughout.

    Arrays are (n_systems,) or (n_systems, n_systems) in the caller's order; entry [a, b] speaks of a minus b. A system
    that took no part in tests has nan, None, "" or False wherever its seeds would be needed. Against a baseline, pairs
    without it have nan, and nobody has rank set, letters or top flag: these need all pairs.
    """

    score: FloatArray
    """Mean over seeds of the metric."""
    se: FloatArray
    """Standard error of the score for this scope."""
    low: FloatArray
    """Lower end of its 1 - alpha interval."""
    high: FloatArray
    """Upper end."""
    se_dialogue: FloatArray
    """Part of `se` from the choice of dialogues."""
    se_seed: FloatArray
    """Standard error over training seeds; nan in checkpoint scope."""
    se_interaction: FloatArray
    """Part of `se_seed` already in `se_dialogue`: se^2 = se_dialogue^2 + max(se_seed^2 - se_interaction^2, 0)."""
    n_seeds: tuple[int, ...]
    """Runs per system."""
    tested: tuple[bool, ...]
    """Whether the system takes part in tests."""
    rank_low: tuple[int | None, ...]
    """Best rank it may have."""
    rank_high: tuple[int | None, ...]
    """Worst rank it may have."""
    letters: tuple[str, ...]
    """Systems that share a letter are not significantly different."""
    top: tuple[bool, ...]
    """Whether no system is significantly better."""
    difference: FloatArray
    """score[a] - score[b], for untested systems too."""
    pair_se: FloatArray
    """Standard error of the difference."""
    pair_low: FloatArray
    """Lower end of the 1 - alpha interval of the difference, not adjusted for the number of pairs."""
    pair_high: FloatArray
    """Upper end."""
    p_value: FloatArray
    """Two-sided, of no difference; 1 on the diagonal."""
    p_adjusted: FloatArray
    """The same, corrected over the family: all pairs of tested systems, or those with the baseline."""
    rejected: BoolArray
    """p_adjusted <= alpha: the matrix from which ranks, letters and top group derive."""
    critical_value: float
    """Standard errors that a difference needs to be rejected while all others are 0; see `power`."""
    n_dialogues: int
    n_utterances: int
    effective_clusters: float
    """How many dialogues of equal size the split is worth."""
    metric: str
    """Name of the metric."""
    scope: str
    """"checkpoint" (these predictions) or "procedure" (over training seeds too)."""
    unit: str
    """What was resampled: "dialogue", "utterance" or a coarser unit. Where counts say dialogues, read these units."""
    baseline: int | None
    """Index of the system that all others were tested against; None where all pairs were."""
    test: str
    correction: str
    interval: str
    alpha: float
    n_resamples: int
    """Replicates the test used: other than asked for where all were counted, 0 for a closed form."""
    seed: int
    warnings: tuple[str, ...]
    """One line each, to be printed with the table."""
