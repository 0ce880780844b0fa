"""From confusion counts to scores, and how much each unit moves them.

Counts are int64 (..., n_labels, n_labels + 1), gold by predicted; the last column counts answers without a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

STEP = 1e-30
"""Imaginary step of derivatives: nothing is subtracted, so that it can be as small as this."""


@dataclass(frozen=True)
class Sums:
    """What metrics need of counts; arrays (..., n_labels), which may be added, weighted, and moved by complex steps."""

    right: Array
    """Utterances of a label that were given it."""
    given: Array
    """How often a label was given."""
    gold: Array
    """How often it was right to."""

    @classmethod
    def of(cls, counts: Array) -> Sums:
        """Returns the sums of counts (..., n_labels, n_labels + 1)."""
        n_labels = counts.shape[-2]
        square = counts[..., :n_labels].astype(float)
        return cls(np.einsum("...kk->...k", square), square.sum(axis=-2), counts.sum(axis=-1).astype(float))

    def map(self, change: Callable[[Array], Array]) -> Sums:
        """Returns the sums with every array changed."""
        return Sums(change(self.right), change(self.given), change(self.gold))

    def combined(self, other: Sums, combine: Callable[[Array, Array], Array]) -> Sums:
        """Returns the sums with each array combined with that of others."""
        parts = ((self.right, other.right), (self.given, other.given), (self.gold, other.gold))
        return Sums(*(combine(own, their) for own, their in parts))


@dataclass(frozen=True)
class Metric:
    """A score as a function of `Sums`."""

    value: Callable[[Sums], Array]
    leaves_out: bool = False
    """Whether the part of a unit is judged by leaving it out, as is safer where single labels are rare."""


def find_metric(name: str, labels: Sequence[str], neutral: str | None) -> Metric:
    """Returns a metric by its name on the board."""
    everything = np.ones(len(labels))
    if name == "accuracy":
        return Metric(lambda s: _divide(s.right.sum(-1), s.gold.sum(-1)))
    if name == "weighted_f1":
        return Metric(lambda s: _divide((s.gold * label_f1(s)).sum(-1), s.gold.sum(-1)))
    if name == "macro_f1":
        return Metric(lambda s: _divide(label_f1(s).sum(-1), ((s.given + s.gold).real > 0).sum(-1)), leaves_out=True)
    if name == "micro_f1":
        return Metric(lambda s: _pooled_f1(s, everything))
    if name == "micro_f1_no_neutral":
        kept = np.array([float(label != neutral) for label in labels])
        return Metric(lambda s: _pooled_f1(s, kept))
    if name.startswith("f1:"):
        label = labels.index(name.removeprefix("f1:"))
        return Metric(lambda s: label_f1(s)[..., label], leaves_out=True)
    raise ValueError(f"metric {name!r} is not known to this verifier")


def label_f1(sums: Sums) -> Array:
    """Returns 2 right / (given + gold) of every label, 0 where it neither was given nor is gold."""
    return _divide(2 * sums.right, sums.given + sums.gold)


def influence(own: Sums, metric: Metric) -> Array:
    """Returns by how much each unit moves the score to first order, float64 (..., n_units).

    The derivative of the score as the unit counts a little more, by a complex step; or (n - 1)/n times the mean score
    without one unit minus the score without this unit.
    Source: Squire & Trapp 1998 (complex step); Efron & Stein 1981 (jackknife).

    Args:
        own: sums of each unit, arrays (..., n_units, n_labels).
        metric: what to score.
    """
    whole = own.map(lambda part: part.sum(axis=-2, keepdims=True))
    if metric.leaves_out:
        without = metric.value(whole.combined(own, np.subtract))
        n_units = without.shape[-1]
        return np.asarray((without.mean(axis=-1, keepdims=True) - without) * (n_units - 1) / n_units)
    moved = metric.value(whole.combined(own, lambda total, part: total + 1j * STEP * part))
    return np.asarray(moved.imag / STEP)


def _pooled_f1(sums: Sums, kept: Array) -> Array:
    return _divide(2 * (sums.right * kept).sum(-1), ((sums.given + sums.gold) * kept).sum(-1))


def _divide(top: Array, bottom: Array) -> Array:
    """Returns top / bottom, 0 where there is nothing to count."""
    empty = np.real(bottom) == 0
    return np.asarray(np.where(empty, 0.0, top / np.where(empty, 1.0, bottom)))
