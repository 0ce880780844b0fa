"""What a metric could have been had every utterance got a label: bounds from the counts alone.

Knows no run and no reason why an answer is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from harness.metrics.confusion import IntArray, totals_of
from harness.metrics.metric import Metric


@dataclass(frozen=True, slots=True)
class Bounds:
    """One metric under three assumptions on the utterances without a label; fractions in [0, 1]."""

    right: float
    """All of them right: for every metric here the highest value that any labels for them could give.

    A right label raises F1 of its own label, 2 tp / (pred + sup), since tp <= pred and tp <= sup, and touches no other;
    a wrong one raises none. The weights are gold counts, and no right label adds one to the mean of macro F1.
    """
    wrong: float
    """All of them wrong, which is how they are scored.

    Not the lowest value: a wrong label would also lower the precision of the label that it names, and a missing one
    does not. Only accuracy cannot get lower. No labels that are all wrong give a higher value.
    """
    neutral: float | None
    """All of them neutral, as some evaluations have it; None where the label set has no neutral label."""


def bound_metric(counts: NDArray[np.integer[Any]], metric: Metric, neutral: int | None = None) -> Bounds:
    """Returns the value of a metric if everything unanswered had been right, wrong or neutral.

    Args:
        counts: integer (..., n_labels, n_labels + 1): gold by predicted, last column = no usable label; leading axes,
            such as dialogues, are summed.
        metric: a metric of counts.
        neutral: index of the neutral label, None if there is none.

    Raises:
        ConfigError: counts of another shape, or no such label.
    """
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2] + 1:
        raise ConfigError(f"counts have shape {counts.shape!r}; expected (..., n_labels, n_labels + 1)")
    n_labels = counts.shape[-2]
    if neutral is not None and not 0 <= neutral < n_labels:
        raise ConfigError(f"neutral is {neutral!r}; allowed: 0 to {n_labels - 1}, or None")
    summed = counts.reshape(-1, n_labels, n_labels + 1).sum(axis=0, dtype=np.int64)
    gold = np.arange(n_labels)
    return Bounds(
        right=_value(metric, _fill(summed, gold)),
        wrong=_value(metric, summed),
        neutral=None if neutral is None else _value(metric, _fill(summed, np.full(n_labels, neutral))),
    )


def _fill(counts: IntArray, columns: IntArray) -> IntArray:
    """Returns counts with the unanswered of each gold label moved to the column of a label, one column a gold label."""
    filled = counts.copy()
    filled[np.arange(len(counts)), columns] += counts[:, -1]
    filled[:, -1] = 0
    return filled


def _value(metric: Metric, counts: IntArray) -> float:
    return float(metric.value(totals_of(counts)))
