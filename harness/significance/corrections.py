"""Correction of p-values over a family of comparisons.

A family is the set of all pairs of one dataset and one metric. Owns the arithmetic only: it must not know what was
tested, nor how.
"""

from __future__ import annotations

import numpy as np

from harness.metrics.confusion import FloatArray, IntArray

TIE = 1e-6
"""Statistics closer than this count as equal, so that discrete metrics do not lose ties to rounding."""


def bonferroni(p: FloatArray) -> FloatArray:
    """Returns p times the size of the family, at most 1; bounds the chance of any false rejection."""
    return np.minimum(p * p.size, 1.0)


def holm(p: FloatArray) -> FloatArray:
    """Returns step-down Bonferroni p-values, never larger than Bonferroni's.

    Assumes nothing about dependence. Source: Holm 1979.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def benjamini_hochberg(p: FloatArray) -> FloatArray:
    """Returns p-values adjusted for the false discovery rate, which does not bound the chance of any false rejection.

    Assumes independence or positive dependence. Source: Benjamini & Hochberg 1995.
    """
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def no_correction(p: FloatArray) -> FloatArray:
    """Returns p as it is."""
    return p


class Exceedances:
    """Counts how often null statistics reach the observed ones, block by block, for raw and step-down max-T p-values.

    Step-down max-T bounds the chance of any false rejection under every configuration of true hypotheses, uses the
    dependence between pairs and has no resolution limit. It needs a null that is right for each subset of pairs
    (subset pivotality) and statistics on one scale. Source: Westfall & Young 1993; Romano & Wolf 2005; the + 1 of
    Phipson & Smyth 2010.
    """

    def __init__(self, observed: FloatArray, *, joint: bool) -> None:
        """Takes absolute observed statistics (n_pairs,); `joint` asks for max-T counts too."""
        self.order: IntArray = np.argsort(observed, kind="stable")
        """Pairs by ascending observed statistic: the row order that `add` expects."""
        self._threshold = observed[self.order][:, None] - TIE
        self._single = np.zeros(observed.size, np.int64)
        self._joint = np.zeros(observed.size, np.int64) if joint else None
        self._largest: list[FloatArray] = []
        self._n = 0

    @property
    def largest(self) -> FloatArray:
        """float64 (n_replicates,): the largest null statistic of any pair, where max-T was asked for."""
        return np.concatenate(self._largest) if self._largest else np.array([])

    def add(self, null: FloatArray) -> None:
        """Counts one block of absolute null statistics, float64 (n_pairs, n_replicates), and overwrites it."""
        self._n += null.shape[1]
        self._single += np.count_nonzero(null >= self._threshold, axis=1)
        if self._joint is not None:
            np.maximum.accumulate(null, axis=0, out=null)
            self._joint += np.count_nonzero(null >= self._threshold, axis=1)
            self._largest += [null[-1].copy()] if len(null) else []

    def p_values(self, *, exact: bool) -> tuple[FloatArray, FloatArray | None]:
        """Returns raw and, if counted, step-down p-values in the caller's order of pairs.

        `exact` says that all replicates there are were counted, the observed one among them; otherwise it is added.
        """
        extra = 0 if exact else 1
        raw = np.empty(self.order.size)
        raw[self.order] = (self._single + extra) / (self._n + extra)
        if self._joint is None:
            return raw, None
        step_down = np.empty_like(raw)
        share = (self._joint + extra) / (self._n + extra)
        step_down[self.order] = np.maximum.accumulate(share[::-1])[::-1]
        return raw, step_down

    def single_step(self, *, exact: bool) -> FloatArray:
        """Returns max-T p-values against the largest of all pairs, never below step-down, where max-T was asked for.

        The test that belongs to simultaneous intervals. Source: Westfall & Young 1993, section 2.3.
        """
        extra, p = 0 if exact else 1, np.empty(self.order.size)
        ordered = np.sort(self.largest)
        reached = ordered.size - np.searchsorted(ordered, self._threshold[:, 0])
        p[self.order] = (reached + extra) / (self._n + extra)
        return p
