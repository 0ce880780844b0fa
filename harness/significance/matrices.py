"""From one row per pair to matrices over systems, and from rejections to ranks and letters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.ranks import BoolArray, letters, rank_sets


class Standing(NamedTuple):
    """What the rejections say about one system; empty for one that was not tested."""

    rank_low: int | None = None
    rank_high: int | None = None
    letters: str = ""


def square(
    n_systems: int,
    first: IntArray,
    second: IntArray,
    upper: FloatArray,
    *,
    diagonal: float,
    lower: FloatArray | None = None,
) -> FloatArray:
    """Returns float64 (n_systems, n_systems) from values per pair; nan for pairs that are not among them.

    Args:
        n_systems: size of the matrix.
        first: int64 (n_pairs,), rows.
        second: int64 (n_pairs,), columns.
        upper: float64 (n_pairs,), values of first against second.
        diagonal: value of a system against itself.
        lower: the same of second against first, where they differ.
    """
    matrix = np.full((n_systems, n_systems), np.nan)
    matrix[first, second] = upper
    matrix[second, first] = upper if lower is None else lower
    np.fill_diagonal(matrix, diagonal)
    return matrix


def standings(
    scores: FloatArray, rejected: BoolArray, tested: BoolArray, *, higher_is_better: bool = True
) -> list[Standing]:
    """Returns rank set and letters of every system, ranked among the tested ones."""
    systems = np.flatnonzero(tested)
    goodness = scores[systems] if higher_is_better else -scores[systems]
    among = rejected[np.ix_(systems, systems)]
    rows = [Standing()] * scores.size
    for system, low, high, mark in zip(systems, *rank_sets(goodness, among), letters(goodness, among), strict=True):
        rows[system] = Standing(int(low), int(high), mark)
    return rows
