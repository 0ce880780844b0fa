"""Metrics as pure functions of summed per-dialogue counts.

`tally` turns labels into a `DialogueConfusion`; a `Metric` reads the sum of its dialogues. Scoring, the bootstrap and
randomisation are therefore the same function on different sums. Scores are fractions in [0, 1].
This package knows nothing of files, stores, predictors or tests of significance.
"""

from harness.metrics.calibration import (
    NOT_FRACTIONS,
    DialogueCalibration,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    tally_calibration,
)
from harness.metrics.confusion import DialogueConfusion, Totals, tally, totals_of
from harness.metrics.f1 import Gradient, per_label_f1
from harness.metrics.metric import METRICS, Metric, get_metric, metric_names, metric_title

__all__ = [
    "METRICS",
    "NOT_FRACTIONS",
    "DialogueCalibration",
    "DialogueConfusion",
    "Gradient",
    "Metric",
    "Totals",
    "brier_score",
    "expected_calibration_error",
    "get_metric",
    "metric_names",
    "metric_title",
    "negative_log_likelihood",
    "per_label_f1",
    "tally",
    "tally_calibration",
    "totals_of",
]
