"""Scores of stored runs, and the comparison of two systems: counts only, no model and no corpus."""

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
from harness.significance import compare_systems
from harness.store import DialogueTable, StoredRun

CALIBRATION: Mapping[str, Callable[[DialogueCalibration], FloatArray]] = {
    "ece": expected_calibration_error,
    "brier": brier_score,
    "nll": negative_log_likelihood,
}
"""Scores of label probabilities: expected calibration error (15 bins), Brier score, negative log-likelihood in nats."""


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

    @property
    def counts(self) -> IntArray:
        """int64 (n_seeds, n_dialogues, n_labels, n_labels + 1)."""
        return np.stack([table.confusion.counts for table in self.tables])

    @property
    def coverage(self) -> float:
        """Share of targets with a usable label, over all runs."""
        return float(np.mean([run.manifest.coverage for run in self.runs]))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on one split: what `erc-harness compare` says. Scores are fractions."""

    dataset: str
    metric: str
    a: str
    b: str
    score_a: float
    score_b: float
    difference: float
    low: float
    high: float
    p_value: float
    scope: str
    unit: str
    test: str
    n_dialogues: int
    n_seeds_a: int
    n_seeds_b: int
    alpha: float
    warnings: tuple[str, ...]


def load_system(runs: Sequence[StoredRun]) -> System:
    """Returns the system of some runs, with their counts read.

    Raises:
        StoreError: a file is missing or corrupt.
        IncompatibleRunsError: the runs are of other data or of another predictor.
    """
    ordered = tuple(sorted(runs, key=lambda run: run.manifest.seed))
    check_comparable(ordered)
    return System(ordered[0].manifest.predictor.label, ordered, tuple(run.dialogues() for run in ordered))


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
        for field in ("dataset", "split", "labels", "neutral", "fingerprint"):
            ours, theirs = getattr(runs[0].manifest.data, field), getattr(run.manifest.data, field)
            if ours != theirs:
                raise IncompatibleRunsError(
                    f"runs of different {field} cannot share a table: {_name(runs[0])} has {ours!r}, "
                    f"{_name(run)} has {theirs!r}; remove one of the two folders, or compare on one release only"
                )


def resolve_metric(name: str, run: StoredRun) -> Metric:
    """Returns a metric of counts for the label set of a run; raises UnknownNameError or ConfigError.

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


def compare_runs(
    a: Sequence[StoredRun], b: Sequence[StoredRun], *, metric: str | None = None, scope: str | None = None
) -> Comparison:
    """Returns the difference between two systems with its interval and p-value.

    Args:
        a: runs of one system, one a seed.
        b: runs of the other.
        metric: name; default: the main metric of the dataset.
        scope: "checkpoint" or "procedure"; default: checkpoint if both have one run, else procedure.

    Raises:
        IncompatibleRunsError: the runs may not meet in one table.
        ConfigError: the scope needs another number of seeds.
        UnknownNameError: no such metric.
        StoreError: a file is missing or corrupt.
    """
    check_comparable([*a, *b])
    pair = (load_system(a), load_system(b))
    data = pair[0].runs[0].manifest.data
    metric_name = metric or data.metric
    chosen = scope or ("checkpoint" if all(len(system.runs) == 1 for system in pair) else "procedure")
    if chosen == "procedure":
        for system in pair:
            if not system.deterministic and len(system.runs) < 3:
                name = system.runs[0].manifest.predictor.name
                raise ConfigError(
                    f"{system.label!r} has {len(system.runs)} seed(s): scope 'procedure' needs 3 or more; "
                    f"type: erc-harness run {name} --dataset {data.dataset} --seed 0 1 2, or use scope 'checkpoint'"
                )
    result = compare_systems(
        [system.counts for system in pair],
        resolve_metric(metric_name, pair[0].runs[0]),
        scope=chosen,  # type: ignore[arg-type]  # compare_systems refuses other words itself
        deterministic=[system.deterministic for system in pair],
        correction="none",
    )
    return Comparison(
        dataset=data.dataset, metric=metric_name, a=pair[0].label, b=pair[1].label,
        score_a=float(result.score[0]), score_b=float(result.score[1]), difference=float(result.difference[0, 1]),
        low=float(result.pair_low[0, 1]), high=float(result.pair_high[0, 1]), p_value=float(result.p_value[0, 1]),
        scope=result.scope, unit="dialogue", test=result.test, n_dialogues=result.n_dialogues,
        n_seeds_a=len(pair[0].runs), n_seeds_b=len(pair[1].runs), alpha=result.alpha, warnings=result.warnings,
    )  # fmt: skip


def _known_metric(name: str, labels: Sequence[str], neutral: str | None) -> Metric:
    names = all_metric_names(labels, neutral)
    if name not in names:
        raise UnknownNameError.of("metric", name, names, "type: erc-harness list metrics")
    return get_metric(name, labels, neutral)


def _name(run: StoredRun) -> str:
    return f"{run.manifest.predictor.name}/{run.manifest.run_id}"
