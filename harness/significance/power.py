"""What a split can show: smallest detectable differences, and the dialogues or seeds that a claim would need.

Differences and standard errors are fractions; the normal approximation throughout.
Source: Card et al. 2020; Miller 2024.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri

from harness.errors import ConfigError
from harness.metrics.confusion import FloatArray

SINGLE = 1.959963984540054
"""Standard errors that a single two-sided comparison needs at .05."""
DISCORDANCE = 0.66
"""Share of differing predictions of which exactly one is right: median over pairs of classical systems on MELD."""


def smallest_detectable(se: FloatArray, critical_value: float = SINGLE, power: float = 0.8) -> FloatArray:
    """Returns the true difference that a test finds with this power: (critical value + z) SE.

    Args:
        se: float64 (...), standard error of a difference, such as `SystemComparison.pair_se`.
        critical_value: standard errors the test needs, such as `SystemComparison.critical_value`.
        power: chance of finding it.
    """
    return np.asarray((critical_value + float(ndtri(power))) * se)


def power_at(gap: float, se: FloatArray, critical_value: float = SINGLE) -> FloatArray:
    """Returns the chance that a true difference `gap` is found in either direction; `se` float64 (...), above 0."""
    z = abs(gap) / np.asarray(se)
    return np.asarray(ndtr(z - critical_value) + ndtr(-z - critical_value))


def dialogues_needed(
    gap: float, se: float, n_dialogues: int, critical_value: float = SINGLE, power: float = 0.8
) -> int:
    """Returns how many dialogues like these find a true difference `gap`, seeds aside.

    Args:
        gap: the difference.
        se: standard error of a difference on the dialogues there are.
        n_dialogues: how many those are.
        critical_value: standard errors the test needs.
        power: chance of finding it.

    Raises:
        ConfigError: the gap is 0.
    """
    if gap == 0:
        raise ConfigError("gap=0 needs infinitely many dialogues; give the difference to be found")
    return math.ceil(n_dialogues * (float(smallest_detectable(np.asarray(se), critical_value, power)) / gap) ** 2)


def seeds_needed(variance_per_run: tuple[float, float], dialogue_variance: float, share: float = 0.1) -> int:
    """Returns how many seeds per system keep their part of the variance at or below a share of the dialogues' part.

    Args:
        variance_per_run: of each of the two systems, n_seeds (se_seed^2 - se_interaction^2), not below 0.
        dialogue_variance: dialogue variance of their difference.
        share: what seeds may add, as a fraction of it.

    Raises:
        ConfigError: dialogue variance or share is not above 0.
    """
    if not (dialogue_variance > 0 and share > 0):
        raise ConfigError(f"dialogue_variance={dialogue_variance!r}, share={share!r}; both must be above 0")
    return max(1, math.ceil(sum(max(part, 0.0) for part in variance_per_run) / (share * dialogue_variance)))


def planned_se(n_utterances: int, share_differing: float, design_effect: float = 1.0) -> float:
    """Returns the standard error to expect of a difference in accuracy before any system has run.

    sqrt(discordance x design effect / N) with discordance = 0.66 x the share of predictions that differ.

    Args:
        n_utterances: size of the split.
        share_differing: share of utterances on which the two systems disagree.
        design_effect: how much dialogues inflate the variance; 1.14 on MELD.
    """
    return math.sqrt(DISCORDANCE * share_differing * design_effect / n_utterances)
