"""Tests of all pairs of systems at fixed predictions (checkpoint scope), the dialogue as unit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.corrections import Exceedances
from harness.significance.streams import BLOCK, SIGNS, blocks

ENUMERATE_UP_TO = 16
NO_DIFFERENCE = 1e-20
"""A sum of squared contributions below this is rounding: the two systems never differ."""

ONE_THREAD = 2**18
"""Multiplications up to which BLAS keeps to one thread: such a product ends before a second one would have woken up."""


@dataclass(frozen=True, eq=False)
class PairTest:
    """p-values of one test for many pairs."""

    p_value: FloatArray
    """float64 (n_pairs,)."""
    p_step_down: FloatArray | None
    """float64 (n_pairs,), corrected by step-down max-T, where the test offers that."""
    n_resamples: int
    """Replicates counted; 0 for a closed form."""
    exact: bool = False
    """Whether these were all replicates there are."""
    largest: FloatArray | None = None
    """float64 (n_resamples,): per replicate the largest |T| of any pair, where max-T was counted."""
    p_single_step: FloatArray | None = None
    """float64 (n_pairs,), corrected by single-step max-T, where max-T was counted; step-down rejects all it does."""


def sign_flip(
    contributions: FloatArray,
    first: IntArray,
    second: IntArray,
    *,
    n_resamples: int,
    seed: int,
    step_down: bool = False,
) -> PairTest:
    """Tests each pair by flipping the sign of whole dialogues, with the same signs for all pairs.

    Null hypothesis: the two scores are equal in the population of dialogues (label profiles may differ).
    Unit: the dialogue. Assumes independent dialogues, enough of them for a studentised sum to be near symmetric.
    The statistic is |sum v eps| / sqrt(sum v^2). That is a monotone function of the studentised |T|, the same one for
    all pairs, hence gives the same p-values, raw and max-T. Up to 16 dialogues every sign pattern is counted.
    Signs go by position: dialogues in another order are another draw from the same null.

    Args:
        contributions: float64 (n_systems, n_dialogues): influence value + score x share of utterances.
        first: int64 (n_pairs,), index of one system.
        second: int64 (n_pairs,), index of the other.
        n_resamples: sign patterns drawn where they are not enumerated.
        seed: key of the random streams.
        step_down: count max-T too.

    Source: Chung & Romano 2013; Hemerik, Goeman & Finos 2020; Winkler et al. 2014; Phipson & Smyth 2010.
    """
    n_dialogues = contributions.shape[1]
    scale = _scale(contributions, first, second)
    counter = Exceedances(np.abs((contributions[first] - contributions[second]).sum(axis=1)) * scale, joint=step_down)
    a, b, unit = first[counter.order], second[counter.order], scale[counter.order][:, None]
    exact = n_dialogues <= ENUMERATE_UP_TO
    for signs in all_signs(n_dialogues) if exact else random_signs(n_dialogues, n_resamples, seed):
        flipped = narrow_product(contributions, signs)
        null = flipped[a]
        null -= flipped[b]
        null *= unit
        counter.add(np.abs(null, out=null))
    p_value, p_step_down = counter.p_values(exact=exact)
    largest = _studentised(counter.largest, n_dialogues) if step_down else None
    single_step = counter.single_step(exact=exact) if step_down else None
    n_counted = 2 ** (n_dialogues - 1) if exact else n_resamples
    return PairTest(p_value, p_step_down, n_counted, exact, largest, single_step)


def _scale(contributions: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Returns 1 / sqrt(sum v^2) per pair, 0 where the two never differ."""
    v = contributions[first] - contributions[second]
    squares = np.einsum("pg,pg->p", v, v)
    return np.where(squares > NO_DIFFERENCE, 1.0 / np.sqrt(np.maximum(squares, NO_DIFFERENCE)), 0.0)


def _studentised(z: FloatArray, n_dialogues: int) -> FloatArray:
    """Returns |T| = sqrt((G - 1)/G) num / sqrt(q - num^2/G) from z = num / sqrt(q)."""
    left = np.maximum(1.0 - z**2 / n_dialogues, 1e-12)
    return np.asarray(math.sqrt((n_dialogues - 1) / n_dialogues) * z / np.sqrt(left))


def narrow_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Returns left @ right, a few columns at a time, so that time and last bits do not depend on threads."""
    product = np.empty((left.shape[0], right.shape[1]))
    width = max(8, ONE_THREAD // left.size)
    for start in range(0, right.shape[1], width):
        columns = slice(start, start + width)
        product[:, columns] = left @ right[:, columns]
    return product


def random_signs(n_dialogues: int, n_resamples: int, seed: int, stream: int = SIGNS) -> Iterator[FloatArray]:
    """Yields blocks of independent fair signs, float64 (n_dialogues, at most 256), keyed by block."""
    eight_signs = np.where(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1), -1.0, 1.0)
    n_bytes = n_dialogues * BLOCK // 8
    for rng, size in blocks(seed, n_resamples, stream):
        drawn = np.frombuffer(rng.bytes(n_bytes), np.uint8)
        yield eight_signs.take(drawn, axis=0).reshape(n_dialogues, BLOCK)[:, :size]


def all_signs(n_dialogues: int) -> Iterator[FloatArray]:
    """Yields every sign pattern once, up to a common sign, which no two-sided statistic sees: 2^(G - 1) columns."""
    shifts = np.arange(n_dialogues)[:, None]
    for start in range(0, 2 ** (n_dialogues - 1), 16 * BLOCK):
        patterns = np.arange(start, min(start + 16 * BLOCK, 2 ** (n_dialogues - 1)))
        yield np.where((patterns >> shifts) & 1, -1.0, 1.0)
