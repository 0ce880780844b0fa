"""What a comparison of stored runs says, as plain frozen records; they compute nothing."""

from __future__ import annotations

from dataclasses import dataclass

from harness.evaluation.scoring import System
from harness.significance import SystemComparison


@dataclass(frozen=True, eq=False)
class LabelledComparison:
    """All pairs of several systems on one split."""

    dataset: str
    labels: tuple[str, ...]
    """Row label of each system, in the order of the arrays of `result`."""
    systems: tuple[System, ...]
    """Their runs, in the same order."""
    unit: str
    """What was resampled: "dialogue", an attribute of dialogues, or "utterance"."""
    n_dialogues: int
    result: SystemComparison
    """Scores, p-values, ranks; its `n_dialogues` counts units."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on one split: what `erc-harness compare` says. Scores and standard errors are fractions."""

    dataset: str
    metric: str
    a: str
    b: str
    score_a: float
    score_b: float
    difference: float
    """Score of a minus score of b."""
    se: float
    """Standard error of the difference."""
    se_dialogue: float
    """Part of it that more dialogues would reduce."""
    se_seed: float
    """Part of it that more seeds would reduce; nan in checkpoint scope."""
    se_interaction: float
    """Part of `se_seed` that `se_dialogue` already holds; nan in checkpoint scope."""
    low: float
    high: float
    p_value: float
    scope: str
    unit: str
    test: str
    n_dialogues: int
    n_clusters: int
    """Number of units."""
    effective_clusters: float
    """How many units of equal size they are worth."""
    n_utterances: int
    n_seeds_a: int
    n_seeds_b: int
    alpha: float
    n_resamples: int
    """0 for a closed form."""
    seed: int
    detectable: float
    """Smallest difference that this test finds with 80% power."""
    seeds_needed: int | None
    """Per system, for seeds to add at most a tenth to the variance of dialogues; None in checkpoint scope."""
    dialogues_needed: int | None
    """To find a true difference as large as this one with 80% power, seeds aside; None for no difference."""
    design_effect: float | None
    """How much dialogues inflate the variance of the difference, against utterances taken for independent; of the runs
    of lowest seed; None without the corpus, or where the two never differ."""
    rope: float | None
    """Half-width of the region of practical equivalence; None where not asked for, as are the following."""
    probability_better: float | None
    """That a scores higher than b, by the Bayesian bootstrap over units, of the runs of lowest seed: no test."""
    probability_equivalent: float | None
    """That the two differ by less than `rope`, of the same."""
    warnings: tuple[str, ...]
