"""The same comparison from plain integer arrays, for data that never saw a run store."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from harness.metrics import get_metric, tally
from harness.metrics.confusion import FloatArray, check_range
from harness.significance.compare import FEWEST_SEEDS, Scope, compare_systems
from harness.significance.result import SystemComparison
from harness.significance.units import DIALOGUE, UTTERANCE


def compare_arrays(
    gold: NDArray[np.integer[Any]],
    dialogue: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    n_labels: int,
    *,
    metric: str = "weighted_f1",
    scope: Scope = "checkpoint",
    test: str | None = None,
    correction: str | None = None,
    alpha: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
    baseline: int | None = None,
    unit: str = DIALOGUE,
) -> SystemComparison:
    """Compares all pairs of systems given as arrays, or each system with a baseline.

    Args:
        gold: integer (n_utterances,), 0 to n_labels - 1.
        dialogue: integer (n_utterances,), not negative: which utterances belong together. Any coarser
            column will do (episode, session, speaker); then give its name as `unit`.
        predictions: integer (n_systems, n_seeds, n_utterances), 0 to n_labels - 1, or -1 for no answer.
        n_labels: size of the label set.
        metric: name of a metric; labels are called "0", "1", ... in names such as "f1:3".
        scope: this and what follows as in `compare_systems`; no system counts as deterministic.
        test: name of a test of that scope.
        correction: name of a correction that goes with the test.
        alpha: level of tests and intervals.
        n_resamples: replicates of a resampling test.
        seed: key of its random streams.
        baseline: index of the system that all others are tested against.
        unit: name of what `dialogue` tells apart; "utterance" takes each utterance alone instead, whatever `dialogue`
            says, and warns.

    Raises:
        ConfigError: an array has another shape or type, a label is out of range, a dialogue id is missing, the number
            of seeds does not suit the scope, or as `compare_systems` says.
        UnknownNameError: no such metric.
    """
    gold, dialogue, predictions = np.asarray(gold), np.asarray(dialogue), np.asarray(predictions)
    for name, array, n_axes in (("gold", gold, 1), ("dialogue", dialogue, 1), ("predictions", predictions, 3)):
        if not np.issubdtype(array.dtype, np.integer):
            raise ConfigError(f"{name} has type {array.dtype}; give integers (predictions use -1 for no answer)")
        if array.ndim != n_axes or array.shape[-1:] != gold.shape[-1:] or not array.size:
            raise ConfigError(
                f"{name} has shape {array.shape!r}; give gold and dialogue (n_utterances,), "
                "predictions (n_systems, n_seeds, n_utterances)"
            )
    if (dialogue < 0).any():
        raise ConfigError(f"dialogue[{int(np.argmax(dialogue < 0))}] is negative; every utterance needs a dialogue id")
    check_range("gold", gold, n_labels)
    check_range("predictions.flat", predictions.ravel(), n_labels, start=-1)
    if scope == "procedure" and predictions.shape[1] < FEWEST_SEEDS:
        raise ConfigError(
            f"predictions hold {predictions.shape[1]} seeds; procedure scope needs {FEWEST_SEEDS} or more "
            "(scope='checkpoint' takes one)"
        )
    index = np.arange(gold.size) if unit == UTTERANCE else np.unique(dialogue, return_inverse=True)[1]
    n_dialogues = int(index.max()) + 1
    counts = [np.stack([tally(index, gold, run, n_dialogues, n_labels) for run in system]) for system in predictions]
    return compare_systems(
        counts,
        get_metric(metric, [str(label) for label in range(n_labels)]),
        scope=scope,
        test=test,
        correction=correction,
        alpha=alpha,
        n_resamples=n_resamples,
        seed=seed,
        baseline=baseline,
        unit=unit,
    )


def design_effects(
    gold: NDArray[np.integer[Any]],
    dialogue: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    n_labels: int,
    *,
    metric: str = "weighted_f1",
) -> FloatArray:
    """Returns how much dialogues inflate the variance of each difference, float64 (n_systems, n_systems).

    (SE with dialogues as unit / SE with utterances as unit)^2: about 1 where errors do not cluster, nan where two
    systems never differ. On MELD about 1.14 between classical systems.
    Source: Kish 1965, section 8.2.

    Args:
        gold: integer (n_utterances,), 0 to n_labels - 1.
        dialogue: integer (n_utterances,).
        predictions: integer (n_systems, 1, n_utterances), or -1 for no answer.
        n_labels: size of the label set.
        metric: name of a metric.

    Raises:
        ConfigError: as `compare_arrays` says.
        UnknownNameError: no such metric.
    """
    by_dialogue, by_utterance = (
        compare_arrays(gold, dialogue, predictions, n_labels, metric=metric, test="t", unit=unit).pair_se
        for unit in (DIALOGUE, UTTERANCE)
    )
    return np.square(
        np.divide(by_dialogue, by_utterance, out=np.full_like(by_dialogue, np.nan), where=by_utterance > 0)
    )
