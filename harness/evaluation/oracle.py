"""What choosing the epoch on the split to predict would have given: a number to show beside a result, never one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from harness.data import Split
from harness.metrics import get_metric, tally, totals_of
from harness.schema import Prediction


def best_on_target(
    epochs: Iterable[tuple[int, Sequence[Sequence[Prediction]]]], split: Split, metric: str
) -> dict[str, Any] | None:
    """Returns {"selected_on", "metric", "score", "epoch", "n_epochs"} of the epoch that is best on the split itself.

    Of equally good epochs the first counts; the score is a fraction. None if there is no epoch.

    Args:
        epochs: (epoch, predictions of every target) as `Predictor.predict_epochs` yields them.
        split: the split that was predicted, with gold.
        metric: name of the metric.
    """
    labels = split.label_set
    measure = get_metric(metric, labels.labels, labels.neutral)
    scores: dict[int, float] = {}
    for epoch, answers in epochs:
        told = [prediction for answer in answers for prediction in answer]
        gold = np.array([labels.index(split.gold[p.utterance_id]) for p in told])
        predicted = np.array([len(labels) if p.label is None else labels.index(p.label) for p in told])
        counts = tally(np.zeros_like(gold), gold, predicted, n_dialogues=1, n_labels=len(labels))
        scores[epoch] = float(measure.value(totals_of(counts[0])))
    if not scores:
        return None
    best = max(scores, key=lambda epoch: scores[epoch])
    return {
        "selected_on": split.name,
        "metric": metric,
        "score": round(scores[best], 6),
        "epoch": best,
        "n_epochs": len(scores),
    }
