"""The formulas: accuracy and the F1 family as functions of `Totals`, each with its gradient.

Every function takes arrays with any leading dimensions and returns float64 with those dimensions. All are homogeneous
of degree 0 in the counts. A label that is neither gold nor predicted has F1 0 and never gives nan.

Source: Manning, Raghavan & Schuetze 2008, sections 8.3 and 13.6; corner cases as in scikit-learn's f1_score with
zero_division=0. Gradients are elementary calculus in the totals tp, den = pred + sup, and sup.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.metrics.confusion import FloatArray, Totals


class Gradient(NamedTuple):
    """Derivatives of a metric at given totals, float64 (..., n_labels) each."""

    tp: FloatArray
    """With respect to tp, at fixed den and sup."""
    den: FloatArray
    """With respect to den = pred + sup, at fixed tp and sup."""
    sup: FloatArray
    """With respect to sup, at fixed tp and den."""


def per_label_f1(totals: Totals) -> FloatArray:
    """Returns F1 of every label, float64 (..., n_labels), as fractions; 0 for a label never seen nor predicted."""
    return 2.0 * totals.tp / _or_one(totals.den)


def accuracy(totals: Totals) -> FloatArray:
    """Returns the share of utterances with the right label; no usable label counts as wrong."""
    return _sum(totals.tp) / _or_one(totals.n_utterances)


def accuracy_gradient(totals: Totals) -> Gradient:
    """Returns the gradient of accuracy."""
    n = _or_one(totals.n_utterances)[..., None]
    zeros = np.zeros_like(totals.tp)
    return Gradient(zeros + 1.0 / n, zeros, zeros - accuracy(totals)[..., None] / n)


def weighted_f1(totals: Totals) -> FloatArray:
    """Returns the mean of per-label F1 weighted by gold count; a label without gold has weight 0."""
    return _sum(totals.sup * per_label_f1(totals)) / _or_one(totals.n_utterances)


def weighted_f1_gradient(totals: Totals) -> Gradient:
    """Returns the gradient of weighted F1."""
    n = _or_one(totals.n_utterances)[..., None]
    f1 = per_label_f1(totals)
    share = totals.sup / (n * _or_one(totals.den))
    return Gradient(2.0 * share, -share * f1, (f1 - weighted_f1(totals)[..., None]) / n)


def macro_f1(totals: Totals) -> FloatArray:
    """Returns the mean of F1 over the labels that occur in gold or predictions, judged anew in every replicate.

    This is scikit-learn's default. A fixed `labels=` list with zero_division=0 averages absent labels in as 0
    instead; the two agree wherever every label occurs.
    """
    return _sum(per_label_f1(totals)) / _or_one(_sum(totals.den > 0))


def macro_f1_gradient(totals: Totals) -> Gradient:
    """Returns the gradient of macro-F1, the set of occurring labels held fixed."""
    den = totals.den
    share = (den > 0) / (_or_one(_sum(den > 0))[..., None] * _or_one(den))
    return Gradient(2.0 * share, -share * per_label_f1(totals), np.zeros_like(share))


def micro_f1(totals: Totals, left_out: tuple[int, ...] = ()) -> FloatArray:
    """Returns F1 of the pooled counts of all labels but those at the indices `left_out`; 0 if nothing is left."""
    kept = _kept(totals, left_out)
    return 2.0 * _sum(totals.tp * kept) / _or_one(_sum(totals.den * kept))


def micro_f1_gradient(totals: Totals, left_out: tuple[int, ...] = ()) -> Gradient:
    """Returns the gradient of micro-F1."""
    kept = _kept(totals, left_out)
    share = kept / _or_one(_sum(totals.den * kept))[..., None]
    return Gradient(2.0 * share, -share * micro_f1(totals, left_out)[..., None], np.zeros_like(share))


def label_f1(totals: Totals, label: int) -> FloatArray:
    """Returns F1 of the label at one index."""
    f1: FloatArray = per_label_f1(totals)[..., label]
    return f1


def label_f1_gradient(totals: Totals, label: int) -> Gradient:
    """Returns the gradient of F1 of the label at one index."""
    only = np.zeros(totals.tp.shape[-1])
    only[label] = 1.0
    share = only / _or_one(totals.den)
    return Gradient(2.0 * share, -share * per_label_f1(totals), np.zeros_like(share))


def _kept(totals: Totals, left_out: tuple[int, ...]) -> FloatArray:
    kept = np.ones(totals.tp.shape[-1])
    kept[list(left_out)] = 0.0
    return kept


def _or_one(denominator: FloatArray) -> FloatArray:
    """Replaces 0 by 1: wherever a denominator here is 0 its numerator is 0 too."""
    return np.where(denominator > 0, denominator, 1.0)


def _sum(values: FloatArray | np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    return np.asarray(values.sum(axis=-1), dtype=np.float64)
