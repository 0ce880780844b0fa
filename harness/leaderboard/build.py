"""From stored runs to a leaderboard: a pure function of the files under `results/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from harness.features.weights import is_content_of
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard, PairComparison
from harness.leaderboard.published import open_literature, published_entries, published_slips
from harness.leaderboard.records import make_entry, make_header, make_pairs
from harness.leaderboard.spec import BoardSpec, PredictorEntry
from harness.metrics import Metric
from harness.predictors.build import readings
from harness.schema.run import row_label
from harness.significance import SystemComparison, compare_systems
from harness.store import RunStore, StoredRun
from harness.store.layout import VIEWS

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
class Progress:
    """How far a board is."""

    n_runs: int
    """Stored runs that it shows."""
    missing: list[str]
    """As `missing_runs` gives them."""
    planned: bool
    """Whether there is nothing but its specification: no run that it could show, and no view."""


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
        UnknownNameError: a metric or a published table is not known.
    """
    blocks = [_build_block(dataset, spec, store, board) for dataset in spec.datasets]
    first = blocks[0]
    leaderboard = Leaderboard(
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
    if spec.literature is None:
        return leaderboard
    literature = open_literature(board, spec.literature, store.layout)
    return replace(
        leaderboard,
        published=published_entries(leaderboard, spec.literature, literature),
        published_slips=published_slips(spec.literature, literature),
    )


def missing_runs(spec: BoardSpec, store: RunStore) -> list[str]:
    """Returns "PREDICTOR on DATASET, seed K" for every run that the board asks for and the store does not have.

    Of a deterministic predictor no seed is missing once one is here.
    """
    missing = []
    for dataset in spec.datasets:
        runs = store.runs(dataset, spec.split)
        for wanted in spec.entries_on(dataset):
            found = [run for run in runs if _is_wanted(run, wanted)]
            if found and found[0].manifest.predictor.card["deterministic"]:
                continue
            seeds = {run.manifest.seed for run in found}
            label = row_label(wanted.name, wanted.params)
            missing += [f"{label} on {dataset}, seed {seed}" for seed in spec.seeds if seed not in seeds]
    return missing


def board_progress(board: str, spec: BoardSpec, store: RunStore) -> Progress:
    """Returns how many runs of a board are here, and which are missing.

    Raises:
        StoreError: a stored file is missing or corrupt.
    """
    n_runs = sum(len(_chosen_runs(dataset, spec, store)) for dataset in spec.datasets)
    has_view = any(store.layout.view(board, exporter).exists() for exporter in VIEWS)
    return Progress(n_runs, missing_runs(spec, store), planned=not n_runs and not has_view)


def _build_block(dataset: str, spec: BoardSpec, store: RunStore, board: str) -> _Block:
    runs = _chosen_runs(dataset, spec, store)
    if not runs:
        raise ConfigError(f"board {board!r} has no run on {dataset!r} yet; type: erc-harness run --board {board}")
    check_comparable(runs)
    systems = sorted((load_system(group) for group in group_runs(runs)), key=lambda system: system.label)
    entries = spec.entries_on(dataset)
    titles = [_title_of(system, entries) for system in systems]
    names = [title or system.label for title, system in zip(titles, systems, strict=True)]
    _check_names(names, systems)
    metric = resolve_metric(spec.metric or runs[0].manifest.data.metric, runs[0])
    clusters = cluster_index(systems[0].tables[0], spec.unit)
    result = compare_systems(
        [system.counts(clusters) for system in systems],
        metric,
        scope=spec.scope,
        deterministic=[system.deterministic for system in systems],
        names=names,
        test=spec.test,
        correction=spec.correction,
        alpha=spec.alpha,
        n_resamples=spec.n_resamples,
        seed=spec.seed,
    )
    order = sorted(range(len(systems)), key=lambda i: (-result.score[i], systems[i].label))
    best = _printed(result.score[order[0]])
    leader = next((i for i in order if result.tested[i]), None)
    rows = tuple(
        make_entry(systems[i], titles[i], spec, metric, result, i, leader, _printed(result.score[i]) == best, store)
        for i in order
    )
    return _Block(
        make_header(runs[0], systems, spec, metric, result),
        rows,
        make_pairs(dataset, order, systems, result),
        metric,
        result,
    )


def _chosen_runs(dataset: str, spec: BoardSpec, store: RunStore) -> list[StoredRun]:
    """Returns the runs on a dataset that a board shows: those it names, with its seeds, and others if it takes them.

    In checkpoint scope a row is one run: of several seeds the first that the board names.
    """
    chosen = []
    entries = spec.entries_on(dataset)
    for group in group_runs(store.runs(dataset, spec.split)):
        named = any(_is_wanted(group[0], wanted) for wanted in entries)
        if not named and not spec.other_runs:
            continue
        deterministic = group[0].manifest.predictor.card["deterministic"]
        kept = [r for r in group if deterministic or not named or r.manifest.seed in spec.seeds]
        kept.sort(key=lambda run: run.manifest.seed)
        chosen += kept[:1] if deterministic or spec.scope == "checkpoint" else kept
    return chosen


def _title_of(system: System, entries: Sequence[PredictorEntry]) -> str:
    """Returns the title that the board gives to a system, "" if none."""
    return next((entry.title for entry in entries if _is_wanted(system.runs[0], entry)), "")


def _is_wanted(run: StoredRun, wanted: PredictorEntry) -> bool:
    """Whether a run is of this predictor with these parameters and defaults for the rest."""
    made = run.manifest.predictor
    params: Mapping[str, Any] = made.params
    return (
        made.name == wanted.name
        and all(key in params and _means(value, params[key]) for key, value in wanted.params.items())
        and all(key in wanted.params for key in made.params_changed)
    )


def _means(wanted: object, stored: object) -> bool:
    """Whether a run stores what a board wants: the value, or what a file or model of that name held."""
    named = isinstance(wanted, str) and isinstance(stored, str) and is_content_of(stored, wanted)
    return named or stored in readings(wanted)


def _check_names(names: Sequence[str], systems: Sequence[System]) -> None:
    """Checks that no two rows are called alike, as happens when the defaults of a predictor or a file change."""
    first: dict[str, System] = {}
    for name, system in zip(names, systems, strict=True):
        other = first.setdefault(name, system)
        if other is not system:
            raise IncompatibleRunsError(
                f"two systems are called {name!r}, made with other defaults or other files: {other.runs[0].path} and "
                f"{system.runs[0].path}; delete the older folder, or give the rows other titles on the board"
            )


def _printed(score: float) -> float:
    """Returns a score at the precision of tables, so that equal digits tie; float noise is settled first."""
    return round(float(f"{score:.10g}"), 4)
