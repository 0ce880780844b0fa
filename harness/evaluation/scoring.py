"""Scores of stored runs, and the systems they make up: counts only, no model and no corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import ConfigError, IncompatibleRunsError, UnknownNameError
from harness.metrics import (
    METRICS,
    DialogueCalibration,
    Metric,
    brier_score,
    expected_calibration_error,
    get_metric,
    metric_names,
    negative_log_likelihood,
    totals_of,
)
from harness.metrics.confusion import FloatArray, IntArray
from harness.store import StoredRun
from harness.store.predictions import DialogueTable

CALIBRATION: Mapping[str, Callable[[DialogueCalibration], FloatArray]] = {
    "ece": expected_calibration_error,
    "brier": brier_score,
    "nll": negative_log_likelihood,
}
"""Scores of label probabilities: expected calibration error (15 bins), Brier score, negative log-likelihood in nats."""

DIALOGUE = "dialogue"
"""The default unit of resampling."""


@dataclass(frozen=True, slots=True)
class System:
    """The runs of one predictor with one set of parameters on one split, in the order of their seeds."""

    label: str
    runs: tuple[StoredRun, ...]
    tables: tuple[DialogueTable, ...]
    """Counts by dialogue, one a run."""

    @property
    def deterministic(self) -> bool:
        """Whether another seed would change nothing."""
        return bool(self.runs[0].manifest.predictor.card["deterministic"])

    def counts(self, clusters: IntArray) -> IntArray:
        """Returns int64 (n_seeds, n_clusters, n_labels, n_labels + 1).

        Args:
            clusters: int64 (n_dialogues,), the cluster of each dialogue, as `cluster_index` numbers them.
        """
        by_dialogue = np.stack([table.confusion.counts for table in self.tables])
        summed = np.zeros((len(by_dialogue), int(clusters.max()) + 1, *by_dialogue.shape[2:]), np.int64)
        for own, counts in zip(summed, by_dialogue, strict=True):
            np.add.at(own, clusters, counts)
        return summed

    @property
    def coverage(self) -> float:
        """Share of targets with a usable label, over all runs."""
        return float(np.mean([run.manifest.coverage for run in self.runs]))


def load_system(runs: Sequence[StoredRun]) -> System:
    """Returns the system of some runs, with their counts read.

    Raises:
        StoreError: a file is missing or corrupt.
        IncompatibleRunsError: the runs are of other data or of another predictor.
    """
    ordered = tuple(sorted(runs, key=lambda run: run.manifest.seed))
    check_comparable(ordered)
    return System(ordered[0].manifest.predictor.label, ordered, tuple(run.dialogues() for run in ordered))


def cluster_index(table: DialogueTable, unit: str = DIALOGUE) -> IntArray:
    """Returns int64 (n_dialogues,): which dialogues count as one observation, numbered by first appearance.

    Args:
        table: counts of any run on the split.
        unit: "dialogue", or an attribute of its dialogues such as "episode".

    Raises:
        ConfigError: counts by this unit are not stored.
    """
    if unit == DIALOGUE:
        return np.arange(len(table.attributes))
    if unit == "utterance":
        raise ConfigError(
            "unit 'utterance' is not possible: runs store counts by dialogue, since utterances of a dialogue are not "
            "independent; harness.significance.compare_arrays takes arrays with any unit as its `dialogue`"
        )
    known = sorted(set.intersection(*(set(own) for own in table.attributes)))
    if unit not in known:
        raise ConfigError(f"unit is {unit!r}; allowed on this split: {', '.join((DIALOGUE, *known))}")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(own[unit], len(numbers)) for own in table.attributes])


def group_runs(runs: Sequence[StoredRun]) -> list[list[StoredRun]]:
    """Returns runs grouped by configuration, seeds together, in order of first appearance."""
    groups: dict[tuple[str, str, str, str], list[StoredRun]] = {}
    for run in runs:
        m = run.manifest
        config_id = m.run_id.partition("-")[2]
        groups.setdefault((m.data.dataset, m.data.split, m.predictor.name, config_id), []).append(run)
    return list(groups.values())


def check_comparable(runs: Sequence[StoredRun]) -> None:
    """Checks that runs may meet in one table.

    Raises:
        IncompatibleRunsError: two of them differ in dataset, split, labels or fingerprint; both values are shown.
    """
    for run in runs[1:]:
        for field in ("dataset", "split", "labels", "neutral", "fingerprint", "dataset_fingerprint"):
            ours, theirs = getattr(runs[0].manifest.data, field), getattr(run.manifest.data, field)
            if ours != theirs:
                raise IncompatibleRunsError(
                    f"runs of different {field} cannot share a table: {_name(runs[0])} has {ours!r}, "
                    f"{_name(run)} has {theirs!r}; remove one of the two folders, or compare on one release only"
                )


def resolve_metric(name: str, run: StoredRun) -> Metric:
    """Returns a metric of counts for the label set of a run.

    Raises:
        UnknownNameError: no such metric for the label set.
        ConfigError: a calibration score, which has no test.
    """
    data = run.manifest.data
    if name in CALIBRATION:
        raise ConfigError(f"metric {name!r} describes probabilities and is not tested; choose it as a further metric")
    return get_metric(name, data.labels, data.neutral)


def score_table(table: DialogueTable, names: Sequence[str], neutral: str | None) -> dict[str, float]:
    """Returns the metrics of one run by name; calibration scores are nan without probabilities.

    Raises:
        UnknownNameError: a name is not a metric of this label set.
    """
    labels = table.confusion.labels
    totals = totals_of(table.confusion.counts.sum(axis=0))
    scores = {}
    for name in names:
        if name in CALIBRATION:
            sums = None if table.calibration is None else table.calibration.over_dialogues()
            scores[name] = float("nan") if sums is None else float(CALIBRATION[name](sums))
        else:
            scores[name] = float(_known_metric(name, labels, neutral).value(totals))
    return scores


def all_metric_names(labels: Sequence[str] = (), neutral: str | None = None) -> tuple[str, ...]:
    """Returns every metric name of a label set, calibration scores last."""
    return (*metric_names(labels, neutral), *CALIBRATION)


def list_metrics() -> dict[str, str]:
    """Returns a sentence on every metric by name; the names that speak of labels are shown as patterns."""
    described = {name: metric.description for name, metric in METRICS.items()}
    described["micro_f1_no_neutral"] = "F1 of the pooled counts of all labels but the neutral one."
    described["f1:<label>"] = "F1 of one label."
    described["ece"] = "Expected calibration error of label probabilities, 15 bins, a fraction; not tested."
    described["brier"] = "Squared error of label probabilities, summed over labels, 0 to 2; not tested."
    described["nll"] = "Negative log-likelihood of the gold label, in nats; not tested."
    return described


def _known_metric(name: str, labels: Sequence[str], neutral: str | None) -> Metric:
    names = all_metric_names(labels, neutral)
    if name not in names:
        raise UnknownNameError.of("metric", name, names, "type: erc-harness list metrics")
    return get_metric(name, labels, neutral)


def _name(run: StoredRun) -> str:
    return f"{run.manifest.predictor.name}/{run.manifest.run_id}"
