"""A study planned before it is run: what a split can show, and the dialogues and seeds that a claim would take.

Starts from standard errors of differences that stored runs have measured, or from what they are likely to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from harness.errors import ConfigError
from harness.significance import dialogues_needed, planned_se, power_at, seeds_needed, smallest_detectable

ALPHA = 0.05
CLUSTERING = 0.012
"""Intra-dialogue correlation of paired differences at which MELD's dialogues give its measured design effect, 1.14."""
SEED_SD = 0.0028
"""Standard deviation of a score over training seeds beyond dialogue noise, a fraction: two MLP classifiers on MELD."""
SEED_SHARE = 0.1
"""What seeds may add to the variance of dialogues."""
FEWEST_SEEDS = 3
"""Seeds that procedure scope needs at least."""
FEW_DIALOGUES = 30
"""Below this the normal approximation of a plan is too good."""
FEWEST_MEASURED = 3
"""Systems with several seeds from which their variance is taken as measured."""


@dataclass(frozen=True, slots=True)
class SplitSize:
    """What a plan needs to know of a split."""

    dataset: str
    n_utterances: int
    n_dialogues: int
    effective_clusters: float
    """How many dialogues of equal size they are worth."""
    warnings: tuple[str, ...] = ()
    """What a reader of results on it must know, one sentence each."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Standard errors of stored runs, fractions."""

    pair_se: float
    """Of a difference, median over pairs."""
    n_pairs: int
    seed_variances: tuple[float, ...]
    """Per system with several seeds, the variance of one run's score over seeds beyond dialogue noise."""
    source: str
    """Where they come from, in words."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a split can show. Differences, errors and powers are fractions; "all" means among all pairs of systems."""

    dataset: str
    n_utterances: int
    n_dialogues: int
    effective_clusters: float
    difference: float
    """True difference asked about."""
    n_systems: int
    n_pairs: int
    se: float
    """Standard error of a difference."""
    measured: bool
    """Whether `se` comes from stored runs."""
    assumptions: tuple[str, ...]
    """What the numbers rest on, one phrase each."""
    critical_single: float
    """Standard errors that one test needs."""
    critical_all: float
    detectable_single: float
    """Smallest true difference found with 80% power."""
    detectable_all: float
    power_single: float
    """Chance that `difference` is found."""
    power_all: float
    dialogues_single: int
    """Dialogues that find `difference` with 80% power, seeds aside."""
    dialogues_all: int
    seeds: int
    """Per system with random training, for seeds to add at most a tenth to the variance of dialogues."""
    warnings: tuple[str, ...]
    """One line each, to be printed with the plan."""


def plan_study(
    split: SplitSize,
    measured: Measured | None = None,
    *,
    difference: float = 0.01,
    disagreement: float = 0.1,
    n_systems: int = 20,
) -> StudyPlan:
    """Returns what a split can show at level .05.

    Args:
        split: its size.
        measured: standard errors of stored runs; without them the error is planned from the disagreement.
        difference: true difference asked about, a fraction.
        disagreement: share of utterances on which two systems differ; for a planned error only.
        n_systems: how many are to be compared, all with all.

    Raises:
        ConfigError: a number is out of its range.
    """
    for name, share in (("difference", difference), ("disagreement", disagreement)):
        if not 0 < share < 1:
            raise ConfigError(f"{name} is {share!r}; give a fraction between 0 and 1, such as 0.01 for one point")
    effect = design_effect(split)
    se = measured.pair_se if measured else planned_se(split.n_utterances, disagreement, effect)
    if not se > 0:
        raise ConfigError("the measured standard error is 0: stored systems do not differ; give --disagreement")
    error = np.asarray(se)
    single, family = critical_value_of_all_pairs(2), critical_value_of_all_pairs(n_systems)
    seed_variance, seeds_from = _seed_variance(measured.seed_variances if measured else ())
    rests = (measured.source,) if measured else _planned_from(disagreement, effect)
    return StudyPlan(
        dataset=split.dataset,
        n_utterances=split.n_utterances,
        n_dialogues=split.n_dialogues,
        effective_clusters=split.effective_clusters,
        difference=difference,
        n_systems=n_systems,
        n_pairs=math.comb(n_systems, 2),
        se=se,
        measured=measured is not None,
        assumptions=(*rests, seeds_from),
        critical_single=single,
        critical_all=family,
        detectable_single=float(smallest_detectable(error, single)),
        detectable_all=float(smallest_detectable(error, family)),
        power_single=float(power_at(difference, error, single)),
        power_all=float(power_at(difference, error, family)),
        dialogues_single=dialogues_needed(difference, se, split.n_dialogues, single),
        dialogues_all=dialogues_needed(difference, se, split.n_dialogues, family),
        warnings=_warnings(split),
        seeds=max(FEWEST_SEEDS, seeds_needed((seed_variance, seed_variance), se**2, SEED_SHARE)),
    )


def design_effect(split: SplitSize) -> float:
    """Returns how much dialogues inflate the variance of a difference, as far as their sizes tell.

    1 + (m - 1) ICC with m the mean size of the dialogue that an utterance stands in, N / effective clusters.
    Source: Kish 1965, section 5.4; the ICC is `CLUSTERING`.
    """
    return 1 + (split.n_utterances / split.effective_clusters - 1) * CLUSTERING


def critical_value_of_all_pairs(n_systems: int, alpha: float = ALPHA) -> float:
    """Returns how many standard errors the largest of all differences exceeds with probability alpha under no effect.

    The upper quantile of the range of n independent normal scores over sqrt(2): what max-T comes to where systems are
    alike. P(range <= q) = n integral phi(z) (Phi(z) - Phi(z - q))^(n - 1) dz. Source: Tukey 1953.

    Raises:
        ConfigError: fewer than two systems.
    """
    if n_systems < 2:
        raise ConfigError(f"n_systems is {n_systems!r}; give 2 or more systems to compare")
    z = np.linspace(-9.0, 9.0, 2001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    low, high = 0.0, 20.0
    while high - low > 1e-10:
        q = (low + high) / 2
        inside = n_systems * float((density * (ndtr(z) - ndtr(z - q)) ** (n_systems - 1)).sum())
        low, high = (q, high) if inside < 1 - alpha else (low, q)
    return high / math.sqrt(2)


def _seed_variance(measured: Sequence[float]) -> tuple[float, str]:
    """Returns the variance of a run's score over seeds, and where it comes from."""
    if len(measured) >= FEWEST_MEASURED:
        return float(np.median(measured)), f"seed variance measured: median of {len(measured)} systems"
    return SEED_SD**2, f"seed SD beyond dialogue noise assumed {100 * SEED_SD:.2f} points, as of two MLPs on MELD"


def _warnings(split: SplitSize) -> tuple[str, ...]:
    """Returns the warnings of a split, with one on few dialogues unless it is among them."""
    if split.n_dialogues >= FEW_DIALOGUES or any("dialogues:" in warning for warning in split.warnings):
        return split.warnings
    return (*split.warnings, f"only {split.n_dialogues} dialogues: the plan is optimistic below {FEW_DIALOGUES}")


def _planned_from(disagreement: float, effect: float) -> tuple[str, ...]:
    return (
        f"assumed: two systems differ on {disagreement:.0%} of the utterances, and one of them is right on 66% of "
        "those (median on MELD)",
        f"assumed: dialogues inflate the variance {effect:.2f} times (correlation {CLUSTERING:g} as on MELD)",
        "assumed: the error of weighted F1 is that of accuracy",
    )
