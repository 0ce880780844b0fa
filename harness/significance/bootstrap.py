"""Joint resampling of dialogues: one set of weights for all runs, so that their replicates stay paired.

Owns the draws and the product of counts and weights. Must not know what replicates are used for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics import Metric, Totals
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.pair_tests import ONE_THREAD
from harness.significance.streams import BLOCK, DIALOGUES, blocks

EXACT_IN_FLOAT32 = 2**24

COLUMNS, FEWEST_ROWS = 16, 4
"""Size of the pieces of a product: replicates, and the least counts at which pieces are still worth their calls."""


@dataclass(frozen=True, eq=False)
class CountMatrix:
    """The counts of all runs as one matrix, so that one product gives the totals of many replicates."""

    matrix: NDArray[np.floating[Any]]
    """float32 or float64 (2 n_runs n_labels + n_labels, n_dialogues): tp of all runs, pred of all runs, sup."""
    n_runs: int
    n_labels: int

    def resampled(self, weights: NDArray[Any]) -> Totals:
        """Returns totals under weights (n_replicates, n_dialogues): tp, pred (n_runs, n_replicates, n_labels)."""
        sums = piecewise_product(self.matrix, weights.astype(self.matrix.dtype)).astype(np.float64)
        by_label = sums.reshape(2 * self.n_runs + 1, self.n_labels, len(weights)).swapaxes(1, 2)
        return Totals(by_label[: self.n_runs], by_label[self.n_runs : -1], by_label[-1])


def count_matrix(totals: Totals, *, integer_weights: bool = True) -> CountMatrix:
    """Returns the counts of runs as a matrix, in float32 where every sum that can occur is exact in it.

    Counts are integers, so under integer weights the totals are the same for any BLAS, blocking or thread count.

    Args:
        totals: tp and pred (n_runs, n_dialogues, n_labels), sup (n_dialogues, n_labels).
        integer_weights: False for weights that are not counts, which call for float64.
    """
    n_runs, n_dialogues, n_labels = totals.tp.shape
    largest = n_dialogues * float(totals.den.sum(axis=-1).max())
    dtype = np.float32 if integer_weights and largest < EXACT_IN_FLOAT32 else np.float64
    stacked = np.concatenate([totals.tp, totals.pred, totals.sup[None]]).astype(dtype)
    matrix = stacked.swapaxes(1, 2).reshape(-1, n_dialogues)
    return CountMatrix(np.ascontiguousarray(matrix), n_runs, n_labels)


def piecewise_product(counts: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Returns counts @ weights.T (n_counts, n_replicates) in pieces that BLAS gives to one thread.

    Threads of a product wait for each other: a second one saves little of the bootstrap on an idle machine and costs
    several times the whole on a busy one. Last bits of float64 products do not depend on threads this way either.

    Args:
        counts: floating (n_counts, n_dialogues).
        weights: the same type (n_replicates, n_dialogues).
    """
    n_replicates, n_dialogues = weights.shape
    n_rows = ONE_THREAD // (COLUMNS * n_dialogues)
    if n_rows < FEWEST_ROWS:
        return np.asarray(counts @ weights.T)
    product = np.empty((len(counts), n_replicates), counts.dtype)
    whole = n_replicates - n_replicates % COLUMNS
    pieces = weights[:whole].reshape(-1, COLUMNS, n_dialogues).swapaxes(1, 2)
    for start in range(0, len(counts), n_rows):
        rows, sums = counts[start : start + n_rows], product[start : start + n_rows]
        np.matmul(rows, pieces, out=sums[:, :whole].reshape(len(rows), -1, COLUMNS).swapaxes(0, 1))
        sums[:, whole:] = rows @ weights[whole:].T
    return product


def dialogue_draws(n_dialogues: int, n_resamples: int, seed: int) -> Iterator[IntArray]:
    """Yields blocks of multinomial weights, int64 (at most 256, n_dialogues): how often each dialogue is drawn."""
    row = np.arange(BLOCK)[:, None] * n_dialogues
    for rng, size in blocks(seed, n_resamples, DIALOGUES):
        drawn = rng.integers(0, n_dialogues, (BLOCK, n_dialogues), dtype=np.uint32) + row
        yield np.bincount(drawn.ravel(), minlength=BLOCK * n_dialogues).reshape(BLOCK, n_dialogues)[:size]


def bootstrap_scores(totals: Totals, metric: Metric, *, n_resamples: int, seed: int) -> FloatArray:
    """Returns scores of all runs on resampled dialogues, float64 (n_runs, n_resamples), paired across runs.

    Unit: the dialogue. Source: Davison & Hinkley 1997, section 2.4; Field & Welsh 2007 for clusters.

    Args:
        totals: tp and pred (n_runs, n_dialogues, n_labels), sup (n_dialogues, n_labels).
        metric: what to score.
        n_resamples: number of replicates.
        seed: key of the random streams.
    """
    counts = count_matrix(totals)
    draws = dialogue_draws(totals.tp.shape[1], n_resamples, seed)
    return np.concatenate([metric.value(counts.resampled(weights)) for weights in draws], axis=1)
