"""From stored runs to a leaderboard: a pure function of the files under `results/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import harness
from harness.errors import ConfigError, IncompatibleRunsError
from harness.evaluation.scoring import (
    System,
    check_comparable,
    cluster_index,
    group_runs,
    load_system,
    resolve_metric,
)
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard, PairComparison
from harness.leaderboard.records import make_entry, make_header, make_pairs
from harness.leaderboard.spec import BoardSpec, PredictorEntry
from harness.metrics import Metric
from harness.predictors.build import readings
from harness.schema.run import row_label
from harness.significance import SystemComparison, compare_systems
from harness.store import RunStore, StoredRun

TEST_TITLES = {
    "satterthwaite": "t-test over dialogues and seeds (Satterthwaite)",
    "sign-flip": "studentised sign-flip test over dialogues",
    "t": "t-test over dialogues",
    "swap": "approximate randomisation over dialogues",
    "bootstrap-t": "bootstrap-t test over dialogues",
    "shifted-bootstrap": "shifted bootstrap test over dialogues",
    "crossed-bootstrap": "crossed bootstrap test over dialogues and seeds",
    "mcnemar": "exact McNemar test",
}
"""Names of tests in captions."""


@dataclass(frozen=True, slots=True)
class _Block:
    """One dataset of a board, computed."""

    header: DatasetHeader
    entries: tuple[Entry, ...]
    comparisons: tuple[PairComparison, ...]
    metric: Metric
    result: SystemComparison


def build_leaderboard(board: str, spec: BoardSpec, store: RunStore) -> Leaderboard:
    """Returns the leaderboard of a specification; the same files give the same value.

    Raises:
        ConfigError: there is no run to show, or a setting does not fit.
        IncompatibleRunsError: runs of one dataset differ in data or labels.
        StoreError: a stored file is missing or corrupt.
        UnknownNameError: a metric is not known.
    """
    blocks = [_build_block(dataset, spec, store, board) for dataset in spec.datasets]
    first = blocks[0]
    return Leaderboard(
        board=board,
        title=spec.title or board,
        metric=first.metric.name,
        metric_title=first.metric.title,
        metrics=(first.metric.name, *(m for m in spec.metrics if m != first.metric.name)),
        datasets=tuple(block.header for block in blocks),
        entries=tuple(entry for block in blocks for entry in block.entries),
        comparisons=tuple(pair for block in blocks for pair in block.comparisons),
        scope=first.result.scope,
        test=first.result.test,
        test_title=TEST_TITLES.get(first.result.test, first.result.test).replace("dialogues", f"{spec.unit}s"),
        correction=first.result.correction,
        alpha=spec.alpha,
        n_resamples=first.result.n_resamples or None,
        seed=spec.seed,
        version=harness.__version__,
    )


def missing_runs(spec: BoardSpec, store: RunStore) -> list[str]:
    """Returns "PREDICTOR on DATASET, seed K" for every run that the board asks for and the store does not have."""
    missing = []
    for dataset in spec.datasets:
        runs = store.runs(dataset, spec.split)
        for wanted in spec.predictors:
            found = [run for run in runs if _is_wanted(run, wanted)]
            if found and found[0].manifest.predictor.card["deterministic"]:
                continue
            seeds = {run.manifest.seed for run in found}
            label = row_label(wanted.name, wanted.params)
            missing += [f"{label} on {dataset}, seed {seed}" for seed in spec.seeds if seed not in seeds]
    return missing


def _build_block(dataset: str, spec: BoardSpec, store: RunStore, board: str) -> _Block:
    runs = _chosen_runs(store.runs(dataset, spec.split), spec)
    if not runs:
        raise ConfigError(f"board {board!r} has no run on {dataset!r} yet; type: erc-harness run --board {board}")
    check_comparable(runs)
    systems = sorted((load_system(group) for group in group_runs(runs)), key=lambda system: system.label)
    _check_labels(systems)
    metric = resolve_metric(spec.metric or runs[0].manifest.data.metric, runs[0])
    clusters = cluster_index(systems[0].tables[0], spec.unit)
    result = compare_systems(
        [system.counts(clusters) for system in systems],
        metric,
        scope=spec.scope,
        deterministic=[system.deterministic for system in systems],
        names=[system.label for system in systems],
        test=spec.test,
        correction=spec.correction,
        alpha=spec.alpha,
        n_resamples=spec.n_resamples,
        seed=spec.seed,
    )
    order = sorted(range(len(systems)), key=lambda i: (-result.score[i], systems[i].label))
    best = _printed(result.score[order[0]])
    leader = next((i for i in order if result.tested[i]), None)
    entries = tuple(
        make_entry(systems[i], spec, metric, result, i, leader, _printed(result.score[i]) == best, store) for i in order
    )
    return _Block(
        make_header(runs[0], systems, spec, metric, result),
        entries,
        make_pairs(dataset, order, systems, result),
        metric,
        result,
    )


def _chosen_runs(runs: Sequence[StoredRun], spec: BoardSpec) -> list[StoredRun]:
    """Returns the runs that belong on a board: those it names, with its seeds, and others if it takes them.

    In checkpoint scope a row is one run: of several seeds the first that the board names.
    """
    chosen = []
    for group in group_runs(runs):
        named = any(_is_wanted(group[0], wanted) for wanted in spec.predictors)
        if not named and not spec.other_runs:
            continue
        deterministic = group[0].manifest.predictor.card["deterministic"]
        kept = [r for r in group if deterministic or not named or r.manifest.seed in spec.seeds]
        kept.sort(key=lambda run: run.manifest.seed)
        chosen += kept[:1] if deterministic or spec.scope == "checkpoint" else kept
    return chosen


def _is_wanted(run: StoredRun, wanted: PredictorEntry) -> bool:
    """Whether a run is of this predictor with these parameters and defaults for the rest."""
    made = run.manifest.predictor
    params: Mapping[str, Any] = made.params
    return (
        made.name == wanted.name
        and all(key in params and params[key] in readings(value) for key, value in wanted.params.items())
        and all(key in wanted.params for key in made.params_changed)
    )


def _check_labels(systems: Sequence[System]) -> None:
    """Checks that no two rows carry the same label, as happens when the defaults of a predictor change."""
    for one, other in pairwise(systems):
        if one.label == other.label:
            folders = " and ".join(str(system.runs[0].path) for system in (one, other))
            raise IncompatibleRunsError(
                f"two systems are called {one.label!r}, made with other defaults: {folders}; delete the older folder"
            )


def _printed(score: float) -> float:
    """Returns a score at the precision of tables, so that equal digits tie; float noise is settled first."""
    return round(float(f"{score:.10g}"), 4)
