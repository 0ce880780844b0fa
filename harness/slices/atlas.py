"""One system, or two, on every slice of a split: scores with intervals, and differences corrected together.

The unit of resampling is the dialogue, as on boards: a slice of utterances is counted dialogue by dialogue, and
dialogues without an utterance in it play no part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import harness
from harness.errors import ConfigError
from harness.evaluation.comparison import default_scope
from harness.evaluation.scoring import System, check_comparable, load_system, resolve_metric
from harness.evaluation.utterances import check_release, utterance_counts
from harness.leaderboard.records import make_signature
from harness.metrics import METRICS, Metric, totals_of
from harness.metrics.confusion import IntArray
from harness.significance import SystemComparison, compare_systems, regroup
from harness.significance.corrections import holm
from harness.significance.panel import FEWEST_DIALOGUES, build_panel
from harness.slices.slice import Slice, Sources
from harness.store import StoredRun

WHOLE = "whole split"
"""What the row of all utterances is called, which no slice can be; it is not in the slices' family of tests."""

ACCURACY = METRICS["accuracy"]


@dataclass(frozen=True, slots=True)
class SliceScore:
    """One system on one slice, as fractions; ends are nan where there are too few dialogues or seeds."""

    score: float
    """The metric, mean over seeds."""
    low: float
    """Lower end of its (1 - alpha) interval."""
    high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """The first system minus the second on one slice, a fraction; nan but for the difference where too few."""

    difference: float
    low: float
    """Lower end of its (1 - alpha) interval, for this slice alone."""
    high: float
    p_value: float
    p_adjusted: float
    """Corrected over all slices that are tested; the whole split is a family of its own."""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One value of one slice."""

    slice: str
    value: str
    """"" for the whole split."""
    n_utterances: int
    """Annotated ones."""
    n_dialogues: int
    """Dialogues with such an utterance: the units of its intervals."""
    scores: tuple[SliceScore, ...]
    """One a system."""
    difference: SliceDifference | None
    """None without a second system."""
    warnings: tuple[str, ...]
    """Why its interval is approximate or absent, one sentence each."""


@dataclass(frozen=True, slots=True)
class Atlas:
    """What `erc-harness slices` says."""

    dataset: str
    split: str
    fingerprint: str
    systems: tuple[str, ...]
    """Row labels, one or two."""
    n_seeds: tuple[int, ...]
    metric: str
    scope: str
    test: str
    correction: str
    alpha: float
    n_resamples: int
    """0 for a closed form."""
    seed: int
    n_tests: int
    """Slices in the family of the correction; 0 without a second system."""
    signature: str
    rows: tuple[SliceRow, ...]
    """The whole split first."""
    meanings: dict[str, str]
    """What each slice sorts by, by name, in the order of the rows."""
    left_out: dict[str, str]
    """Slices that need what is not at hand, by name, with what to do; and those that do not divide the split."""
    warnings: tuple[str, ...]
    """What holds for the whole table."""
    version: str


def build_atlas(
    groups: Sequence[Sequence[StoredRun]],
    sources: Sources,
    slices: Sequence[Slice],
    *,
    metric: str | None = None,
    scope: str | None = None,
    alpha: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Atlas:
    """Returns one system, or two and their difference, on every slice whose needs are met.

    Intervals, tests and scopes are those of `compare_systems`; p-values are corrected by Holm over all slices with 10
    dialogues or more, however slices overlap.

    Args:
        groups: the runs of each system, one a seed.
        sources: what slices look at; its split is what the runs predicted.
        slices: in the order of the table.
        metric: name; default: the main metric of the dataset.
        scope: "checkpoint" or "procedure"; default: checkpoint if every system has one run.
        alpha: level of intervals and tests.
        n_resamples: replicates of a resampling test.
        seed: key of its random streams.

    Raises:
        IncompatibleRunsError: the runs may not meet in one table, or predicted another release of the split.
        ConfigError: neither one nor two systems, a slice that gives wrong values, or as `compare_systems` says; a split
            of fewer than 10 dialogues among that.
        UnknownNameError: no such metric.
        StoreError: a file is missing or corrupt.
    """
    if len(groups) not in (1, 2):
        raise ConfigError(f"{len(groups)} systems given; give one, or two to compare")
    check_comparable([run for group in groups for run in group])
    first = groups[0][0]
    for group in groups:
        for run in group:
            check_release(run, sources.split)
    systems = [load_system(group) for group in groups]
    chosen = resolve_metric(metric or first.manifest.data.metric, first)
    scorer = _Scorer(
        systems, sources, chosen, scope or default_scope(groups), alpha=alpha, n_resamples=n_resamples, seed=seed
    )
    met = [one for one in slices if not one.missing(sources)]
    everything = tuple(range(len(sources.split.gold)))
    divided = {one.name: one.divide(sources) for one in met}
    left_out = {one.name: one.missing(sources) for one in slices if one.missing(sources)}
    left_out |= {
        name: f"all are {next(iter(parts))!r}" for name, parts in divided.items() if everything in parts.values()
    }
    shown = [name for name in divided if name not in left_out]
    rows = [scorer.row(name, value, members) for name in shown for value, members in divided[name].items()]
    whole = scorer.compare(scorer.counts_of(everything), chosen)
    return Atlas(
        dataset=first.manifest.data.dataset,
        split=first.manifest.data.split,
        fingerprint=first.manifest.data.fingerprint,
        systems=tuple(system.label for system in systems),
        n_seeds=tuple(len(system.runs) for system in systems),
        metric=chosen.name,
        scope=whole.scope,
        test=whole.test,
        correction=whole.correction,
        alpha=alpha,
        n_resamples=whole.n_resamples,
        seed=seed,
        n_tests=sum(_is_tested(row) for row in rows),
        signature=make_signature(systems, chosen, whole, "dialogue"),
        rows=(*_correct([scorer.row(WHOLE, "", everything)]), *_correct(rows)),
        meanings={one.name: one.meaning for one in met if one.name in shown},
        left_out=left_out,
        warnings=(*first.manifest.data.notes, *whole.warnings),
        version=harness.__version__,
    )


class _Scorer:
    """Scores sets of utterances, all in one way."""

    def __init__(self, systems: Sequence[System], sources: Sources, metric: Metric, scope: str, **numbers: Any) -> None:
        self._systems, self._metric, self._scope, self._numbers = systems, metric, scope, numbers
        self._counts = [utterance_counts(system, sources.split) for system in systems]
        self._dialogues = [dialogue.id for dialogue, _ in sources.targets()]

    def counts_of(self, members: Sequence[int]) -> list[IntArray]:
        """Returns counts by dialogue of some utterances, a system each, int64 (n_seeds, n_dialogues, n, n + 1)."""
        dialogues = [self._dialogues[i] for i in members]
        return [regroup(counts[:, list(members)], dialogues) for counts in self._counts]

    def compare(self, counts: Sequence[IntArray], metric: Metric) -> SystemComparison:
        """Returns the systems on such counts, with their difference if there are two."""
        return compare_systems(
            counts,
            metric,
            scope=self._scope,  # type: ignore[arg-type]  # compare_systems refuses other words itself
            deterministic=[system.deterministic for system in self._systems],
            names=[system.label for system in self._systems],
            correction="holm",
            **self._numbers,
        )

    def row(self, name: str, value: str, members: Sequence[int]) -> SliceRow:
        """Returns the row of some utterances, not yet corrected; only points where there are too few dialogues."""
        counts = self.counts_of(members)
        n_dialogues = counts[0].shape[1]
        if n_dialogues < FEWEST_DIALOGUES:
            warnings: tuple[str, ...] = (
                f"an interval needs {FEWEST_DIALOGUES} dialogues; this slice has {n_dialogues}",
            )
            scores = tuple(_points(own, self._metric) for own in counts)
            gap = scores[0].score - scores[-1].score
            difference = SliceDifference(gap, *[math.nan] * 4)
        else:
            main = self.compare(counts, self._metric)
            accuracy = main if self._metric.name == ACCURACY.name else self.compare(counts, ACCURACY)
            warnings = tuple(build_panel(counts, self._metric).warnings())
            ends = zip(main.score, main.low, main.high, accuracy.score, accuracy.low, accuracy.high, strict=True)
            scores = tuple(SliceScore(*map(float, own)) for own in ends)
            matrices = (main.difference, main.pair_low, main.pair_high, main.p_value)
            gap, low, high, p_value = (float(matrix[0, -1]) for matrix in matrices)
            difference = SliceDifference(gap, low, high, p_value, p_adjusted=math.nan)
        pair = difference if len(counts) == 2 else None
        return SliceRow(name, value, len(members), n_dialogues, scores, pair, warnings)


def _points(counts: IntArray, metric: Metric) -> SliceScore:
    """Returns the mean scores of a system without intervals; counts int64 (n_seeds, n_dialogues, n, n + 1)."""
    totals = totals_of(counts.sum(axis=1))
    score, accuracy = (float(one.value(totals).mean()) for one in (metric, ACCURACY))
    return SliceScore(score, math.nan, math.nan, accuracy, math.nan, math.nan)


def _is_tested(row: SliceRow) -> bool:
    return row.difference is not None and math.isfinite(row.difference.p_value)


def _correct(rows: Sequence[SliceRow]) -> list[SliceRow]:
    """Returns the rows with the p-values of those that are tested corrected as one family."""
    family = [row.difference.p_value for row in rows if row.difference is not None and _is_tested(row)]
    adjusted = iter(holm(np.array(family)).tolist())
    return [
        replace(row, difference=replace(row.difference, p_adjusted=next(adjusted)))
        if row.difference is not None and _is_tested(row)
        else row
        for row in rows
    ]
