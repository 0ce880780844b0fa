"""Calibration of label probabilities, from sums per dialogue.

Owns the three scores and the sums they need. Must not know how probabilities were obtained.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from harness.metrics.confusion import FloatArray, check_range

NOT_FRACTIONS = frozenset({"brier", "nll"})
"""Scores that are no shares of anything: they are never shown in percent."""

N_BINS = 15
PROBABILITY_FLOOR = 1e-12


@dataclass(frozen=True, eq=False)
class DialogueCalibration:
    """Sums from which the calibration scores follow; leading dimensions (n_dialogues,) or, once summed, ()."""

    n_scored: FloatArray
    """float64 (...): utterances with probabilities."""
    n_unscored: FloatArray
    """float64 (...): utterances without, left out of everything else."""
    squared_error: FloatArray
    """float64 (...): sum over utterances and labels of (probability - gold indicator) squared."""
    log_loss: FloatArray
    """float64 (...): sum of -ln(probability of the gold label), in nats."""
    bin_count: FloatArray
    """float64 (..., 15): utterances per confidence bin."""
    bin_confidence: FloatArray
    """float64 (..., 15): sum of top-label probabilities per bin."""
    bin_correct: FloatArray
    """float64 (..., 15): utterances per bin whose top label is gold."""

    def over_dialogues(self) -> DialogueCalibration:
        """Returns the same sums for the whole split."""
        return DialogueCalibration(*(getattr(self, field.name).sum(axis=0) for field in fields(self)))


def tally_calibration(
    dialogue_index: NDArray[np.integer[Any]],
    gold: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    n_dialogues: int,
) -> DialogueCalibration:
    """Returns calibration sums per dialogue; an utterance whose row holds a nan is unscored.

    Probabilities of gold labels are clipped at 1e-12 before the logarithm, so one sure error costs 27.6 nats.
    Bins are equal-width and closed on the right, (0, 1/15], ..., (14/15, 1]; the first of equal top labels counts.

    Args:
        dialogue_index: integer (n_utterances,), 0 to n_dialogues - 1.
        gold: integer (n_utterances,), 0 to n_labels - 1.
        probabilities: float (n_utterances, n_labels), rows that sum to 1.
        n_dialogues: number of dialogues.

    Raises:
        ConfigError: shapes disagree, an index is out of range, or a row is not a distribution.
    """
    if probabilities.ndim != 2 or not (dialogue_index.shape == gold.shape == probabilities.shape[:1]):
        raise ConfigError(
            f"probabilities have shape {probabilities.shape!r} for gold {gold.shape!r} and dialogue_index "
            f"{dialogue_index.shape!r}; give (n_utterances, n_labels), (n_utterances,), (n_utterances,)"
        )
    check_range("dialogue_index", dialogue_index, n_dialogues)
    check_range("gold", gold, probabilities.shape[1])
    scored = ~np.isnan(probabilities).any(axis=1)
    p = probabilities[scored].astype(np.float64)
    _check_distributions(p, np.flatnonzero(scored))
    truth, where = gold[scored], dialogue_index[scored]
    rows = np.arange(len(p))
    top = p.argmax(axis=1)
    confidence = p[rows, top]
    of_gold = p[rows, truth]
    cell = where * N_BINS + np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)

    def per_dialogue(index: NDArray[Any], weights: FloatArray | None = None) -> FloatArray:
        return np.bincount(index, weights, minlength=n_dialogues).astype(np.float64)

    def per_bin(weights: FloatArray | None = None) -> FloatArray:
        sums = np.bincount(cell, weights, minlength=n_dialogues * N_BINS)
        return sums.astype(np.float64).reshape(n_dialogues, N_BINS)

    return DialogueCalibration(
        n_scored=per_dialogue(where),
        n_unscored=per_dialogue(dialogue_index[~scored]),
        squared_error=per_dialogue(where, (p * p).sum(axis=1) - 2.0 * of_gold + 1.0),
        log_loss=per_dialogue(where, -np.log(np.maximum(of_gold, PROBABILITY_FLOOR))),
        bin_count=per_bin(),
        bin_confidence=per_bin(confidence),
        bin_correct=per_bin((top == truth).astype(np.float64)),
    )


def expected_calibration_error(sums: DialogueCalibration) -> FloatArray:
    """Returns the mean gap between top-label confidence and accuracy over 15 bins, a fraction; nan if none is scored.

    Source: Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017, equation 3.
    """
    return _mean(np.abs(sums.bin_correct - sums.bin_confidence).sum(axis=-1), sums)


def brier_score(sums: DialogueCalibration) -> FloatArray:
    """Returns squared error summed over labels, averaged over utterances, in [0, 2]; nan if none is scored.

    Source: Brier 1950, the multi-class form.
    """
    return _mean(sums.squared_error, sums)


def negative_log_likelihood(sums: DialogueCalibration) -> FloatArray:
    """Returns the mean of -ln(probability of the gold label), in nats; nan if none is scored."""
    return _mean(sums.log_loss, sums)


def _mean(total: FloatArray, sums: DialogueCalibration) -> FloatArray:
    n = np.asarray(sums.n_scored)
    return np.asarray(np.where(n > 0, total / np.where(n > 0, n, 1.0), np.nan))


def _check_distributions(p: FloatArray, utterances: NDArray[np.intp]) -> None:
    # Rows stored with float16 or with four decimals pass; logits and percentages do not.
    bad = (p < 0).any(axis=1) | (np.abs(p.sum(axis=1) - 1.0) > 2e-3)
    if bad.any():
        first = int(np.argmax(bad))
        raise ConfigError(
            f"probabilities[{int(utterances[first])}] sum to {float(p[first].sum())!r} with minimum "
            f"{float(p[first].min())!r}; give probabilities that sum to 1, or a row of nan for no scores"
        )
