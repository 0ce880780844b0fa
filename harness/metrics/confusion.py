"""Confusion counts per dialogue, and the few sums of them that every metric needs.

Owns the layout of the counts (last column = no usable label). Must not know where labels come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Totals:
    """The sufficient statistics of every metric here, with any leading dimensions (seeds, dialogues, replicates).

    The sum of statistics is the statistic of the sum, so these arrays may be added, weighted and resampled.
    """

    tp: FloatArray
    """float64 (..., n_labels): utterances of this label that were predicted as such."""
    pred: FloatArray
    """float64 (..., n_labels): times this label was predicted."""
    sup: FloatArray
    """float64 (..., n_labels): gold count; may lack leading dimensions that all systems share."""

    @property
    def den(self) -> FloatArray:
        """float64 (..., n_labels): predicted plus gold count, the denominator of F1."""
        return self.pred + self.sup

    @property
    def n_utterances(self) -> FloatArray:
        """float64 (...): number of utterances."""
        return _as_float(self.sup.sum(axis=-1))

    def over_dialogues(self) -> Totals:
        """Returns the sum over the axis before the labels, which holds the dialogues."""
        return Totals(*(_as_float(part.sum(axis=-2)) for part in (self.tp, self.pred, self.sup)))


@dataclass(frozen=True, eq=False)
class DialogueConfusion:
    """Confusion counts of one run, dialogue by dialogue.

    Raises:
        ConfigError: the counts do not have the shape that ids and labels call for.
    """

    dialogue_ids: tuple[str, ...]
    """Ids in the order of the first axis."""
    labels: tuple[str, ...]
    """Label names in the order of the other two axes."""
    counts: IntArray
    """int64 (n_dialogues, n_labels, n_labels + 1): gold by predicted; last column = no usable label."""

    def __post_init__(self) -> None:
        expected = (len(self.dialogue_ids), len(self.labels), len(self.labels) + 1)
        if self.counts.shape != expected:
            raise ConfigError(f"counts have shape {self.counts.shape!r}; these ids and labels need {expected!r}")

    def totals(self) -> Totals:
        """Returns the sufficient statistics of the whole split, arrays of shape (n_labels,)."""
        return totals_of(self.counts.sum(axis=0))


def tally(
    dialogue_index: NDArray[np.integer[Any]],
    gold: NDArray[np.integer[Any]],
    predicted: NDArray[np.integer[Any]],
    n_dialogues: int,
    n_labels: int,
) -> IntArray:
    """Returns confusion counts per dialogue, int64 (n_dialogues, n_labels, n_labels + 1).

    Args:
        dialogue_index: integer (n_utterances,), dialogue of each utterance, 0 to n_dialogues - 1.
        gold: integer (n_utterances,), gold label, 0 to n_labels - 1.
        predicted: integer (n_utterances,); any value outside 0 to n_labels - 1 counts as no usable label.
        n_dialogues: number of dialogues, those without utterances included.
        n_labels: size of the label set.

    Raises:
        ConfigError: arrays are not integer vectors of one length, or an index lies outside its range.
    """
    for name, array in (("dialogue_index", dialogue_index), ("gold", gold), ("predicted", predicted)):
        if array.ndim != 1 or array.shape != gold.shape or not np.issubdtype(array.dtype, np.integer):
            raise ConfigError(
                f"{name} is {array.dtype} {array.shape!r}; give an integer vector as long as gold, {gold.shape!r}"
            )
    check_range("dialogue_index", dialogue_index, n_dialogues)
    check_range("gold", gold, n_labels)
    usable = (predicted >= 0) & (predicted < n_labels)
    column = np.where(usable, predicted, n_labels).astype(np.int64)
    cell = (dialogue_index.astype(np.int64) * n_labels + gold) * (n_labels + 1) + column
    counts = np.bincount(cell, minlength=n_dialogues * n_labels * (n_labels + 1))
    return counts.astype(np.int64, copy=False).reshape(n_dialogues, n_labels, n_labels + 1)


def totals_of(counts: NDArray[np.integer[Any]]) -> Totals:
    """Returns the sufficient statistics of confusion counts (..., n_labels, n_labels + 1), leading axes kept."""
    n_labels = counts.shape[-2]
    return Totals(
        tp=_as_float(np.diagonal(counts, axis1=-2, axis2=-1)),
        pred=_as_float(counts[..., :n_labels].sum(axis=-2)),
        sup=_as_float(counts.sum(axis=-1)),
    )


def check_range(name: str, values: NDArray[np.integer[Any]], stop: int, start: int = 0) -> None:
    """Raises ConfigError, naming the first offender, unless every value lies in start to stop - 1."""
    outside = np.flatnonzero((values < start) | (values >= stop))
    if outside.size:
        where = int(outside[0])
        raise ConfigError(f"{name}[{where}] is {int(values[where])!r}; allowed: {start} to {stop - 1}")


def _as_float(values: NDArray[Any]) -> FloatArray:
    return np.asarray(values, dtype=np.float64)
