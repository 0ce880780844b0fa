"""How much each dialogue contributes to a score, and the standard errors that follow.

The unit is the dialogue: dialogues are taken as independent draws, utterances inside one are not.
Source: Field & Welsh 2007 (clustered data); Miller 2024, arXiv 2411.00640 (accuracy is the special case of a mean).
"""

from __future__ import annotations

import numpy as np

from harness.metrics import Metric, Totals
from harness.metrics.confusion import FloatArray


def influence_values(totals: Totals, metric: Metric) -> FloatArray:
    """Returns the first-order contribution of each dialogue to the score, float64 (..., n_dialogues); sums to 0.

    Args:
        totals: statistics per dialogue, arrays (..., n_dialogues, n_labels).
        metric: its `linearisation` says whether the gradient or leaving dialogues out is used; without a gradient
            dialogues are left out.
    """
    if metric.gradient is None or metric.linearisation == "jackknife":
        return jackknife_influence(totals, metric)
    return gradient_influence(totals, metric)


def gradient_influence(totals: Totals, metric: Metric) -> FloatArray:
    """Returns gradient times counts; the sum over dialogues is 0 since metrics are homogeneous of degree 0 (Euler)."""
    if metric.gradient is None:
        return jackknife_influence(totals, metric)
    slope = metric.gradient(totals.over_dialogues())
    parts = ((totals.tp, slope.tp), (totals.den, slope.den), (totals.sup, slope.sup))
    terms = [np.einsum("...gc,...c->...g", count, weight) for count, weight in parts]
    return np.asarray(terms[0] + terms[1] + terms[2])


def jackknife_influence(totals: Totals, metric: Metric) -> FloatArray:
    """Returns (G - 1)/G times (mean of the leave-one-out scores - the score without this dialogue).

    Scaled so that `clustered_se` of it is the jackknife standard error sqrt((G - 1)/G sum (theta_g - mean)^2).
    """
    left = leave_one_out(totals, metric)
    n_dialogues = left.shape[-1]
    centred: FloatArray = left.mean(axis=-1, keepdims=True) - left
    return np.asarray((n_dialogues - 1) / n_dialogues * centred)


def leave_one_out(totals: Totals, metric: Metric) -> FloatArray:
    """Returns the score of the split without each dialogue in turn, float64 (..., n_dialogues)."""
    whole = totals.over_dialogues()
    parts = ("tp", "pred", "sup")
    return metric.value(Totals(*(getattr(whole, part)[..., None, :] - getattr(totals, part) for part in parts)))


def clustered_variance(influence: FloatArray) -> FloatArray:
    """Returns G/(G - 1) times the sum of squares over dialogues, float64 (...)."""
    n_dialogues = influence.shape[-1]
    return np.asarray(n_dialogues / (n_dialogues - 1) * np.einsum("...g,...g->...", influence, influence))


def clustered_se(influence: FloatArray) -> FloatArray:
    """Returns the standard error of a score, or of a difference if given differences of influence values."""
    return np.sqrt(clustered_variance(influence))


def jackknife_se(totals: Totals, metric: Metric) -> FloatArray:
    """Returns the leave-one-dialogue-out standard error, float64 (...)."""
    return clustered_se(jackknife_influence(totals, metric))
