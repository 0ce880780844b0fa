"""From stored runs to a leaderboard: a pure function of the files under `results/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from harness.leaderboard.averages import AverageColumn, make_averages
from harness.leaderboard.leaderboard import Averages, DatasetHeader, Entry, LabelScore, Leaderboard, PairComparison
from harness.leaderboard.published import open_literature, published_entries, published_slips
from harness.leaderboard.records import make_entry, make_header, make_label_score, make_pairs, printed, title_of_test
from harness.leaderboard.spec import BoardSpec, PredictorEntry, check_together
from harness.metrics import Metric
from harness.metrics.confusion import IntArray
from harness.predictors.build import readings
from harness.schema.run import row_label
from harness.significance import SystemComparison, compare_systems
from harness.store import RunStore, StoredRun
from harness.store.layout import VIEWS


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
    systems: tuple[System, ...]
    """In the order of the result."""
    names: tuple[str, ...]
    """What tables call them."""
    clusters: IntArray


def build_leaderboard(board: str, spec: BoardSpec, store: RunStore, *, labels: bool = False) -> Leaderboard:
    """Returns the leaderboard of a specification; the same files give the same value.

    Args:
        board: its name.
        spec: what it shows and how it tests.
        store: holds the runs.
        labels: whether F1 of every label is wanted too, which takes a test a label.

    Raises:
        ConfigError: there is no run to show, or a setting does not fit.
        IncompatibleRunsError: runs of one dataset differ in data or labels.
        StoreError: a stored file is missing or corrupt.
        UnknownNameError: a metric or a published table is not known.
    """
    leaderboard = build_together({board: spec}, store, labels=labels)
    if spec.literature is None:
        return leaderboard
    literature = open_literature(board, spec.literature, store.layout)
    return replace(
        leaderboard,
        published=published_entries(leaderboard, spec.literature, literature),
        published_slips=published_slips(spec.literature, literature),
    )


def build_together(specs: Mapping[str, BoardSpec], store: RunStore, *, labels: bool = False) -> Leaderboard:
    """Returns one leaderboard of the datasets of several boards, without what they show from papers.

    Args:
        specs: boards by name, in the order of their datasets.
        store: holds the runs.
        labels: as in `build_leaderboard`.

    Raises:
        IncompatibleRunsError: the boards test in different ways, or share a dataset.
        ConfigError, StoreError, UnknownNameError: as `build_leaderboard`.
    """
    check_together(specs)
    spec = next(iter(specs.values()))
    blocks = [_build_block(dataset, own, store, board) for board, own in specs.items() for dataset in own.datasets]
    first = blocks[0]
    shared = [name for name in spec.metrics if all(name in own.metrics for own in specs.values())]
    return Leaderboard(
        board="-".join(specs),
        title=" and ".join(own.title or board for board, own in specs.items()),
        metric=first.metric.name,
        metric_title=first.metric.title,
        metrics=(first.metric.name, *(m for m in shared if m != first.metric.name)),
        datasets=tuple(block.header for block in blocks),
        entries=tuple(entry for block in blocks for entry in block.entries),
        comparisons=tuple(pair for block in blocks for pair in block.comparisons),
        scope=first.result.scope,
        test=first.result.test,
        test_title=title_of_test(first.result.test, spec.unit),
        correction=first.result.correction,
        alpha=spec.alpha,
        n_resamples=first.result.n_resamples or None,
        seed=spec.seed,
        version=harness.__version__,
        averages=_averages(blocks, spec),
        label_scores=tuple(score for block in blocks for score in _label_scores(block, spec)) if labels else (),
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
    result = _compare(systems, names, metric, clusters, spec)
    order = sorted(range(len(systems)), key=lambda i: (-result.score[i], systems[i].label))
    best = printed(result.score[order[0]])
    leader = next((i for i in order if result.tested[i]), None)
    rows = tuple(
        make_entry(systems[i], titles[i], spec, metric, result, i, leader, printed(result.score[i]) == best, store)
        for i in order
    )
    return _Block(
        make_header(runs[0], systems, spec, metric, result),
        rows,
        make_pairs(dataset, order, systems, result),
        metric,
        result,
        tuple(systems),
        tuple(names),
        clusters,
    )


def _compare(
    systems: Sequence[System], names: Sequence[str], metric: Metric, clusters: IntArray, spec: BoardSpec
) -> SystemComparison:
    return compare_systems(
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


def _averages(blocks: Sequence[_Block], spec: BoardSpec) -> Averages | None:
    """Returns the averages of a board of several datasets that share their metric."""
    if len(blocks) < 2 or len({block.metric.name for block in blocks}) > 1:
        return None
    columns = []
    for block in blocks:
        tested = {name for name, own in zip(block.names, block.result.tested, strict=True) if own}
        systems = dict(zip(block.names, block.systems, strict=True))
        columns.append(AverageColumn(block.entries, systems, tested, block.clusters, block.metric))
    return make_averages(columns, spec)


def _label_scores(block: _Block, spec: BoardSpec) -> Iterator[LabelScore]:
    """Yields F1 of each label of each entry of a dataset, in the order of its table."""
    run = block.systems[0].runs[0]
    place = {system.label: i for i, system in enumerate(block.systems)}
    counts = block.systems[0].counts(block.clusters)[0].sum(axis=(0, 2))
    results = [
        _compare(block.systems, block.names, resolve_metric(f"f1:{label}", run), block.clusters, spec)
        for label in block.header.labels
    ]
    for entry in block.entries:
        i = place[entry.predictor]
        for label, n, result in zip(block.header.labels, counts.tolist(), results, strict=True):
            yield make_label_score(entry, label, n, result, i)


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
