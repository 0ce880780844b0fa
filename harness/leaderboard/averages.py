"""The average over the datasets of a board: for each row that is on all of them, with tests between those rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Any

from harness.evaluation.scoring import System
from harness.leaderboard.leaderboard import Average, Averages, Entry, PairComparison
from harness.leaderboard.records import printed, title_of_test
from harness.leaderboard.spec import BoardSpec
from harness.metrics import Metric
from harness.metrics.confusion import IntArray
from harness.significance import MacroAverage, compare_across


@dataclass(frozen=True, slots=True)
class AverageColumn:
    """One dataset of a board, rows by what tables call them."""

    entries: Sequence[Entry]
    systems: Mapping[str, System]
    tested: AbstractSet[str]
    clusters: IntArray
    """int64 (n_dialogues,): the unit of resampling that each dialogue belongs to."""
    metric: Metric


def make_averages(columns: Sequence[AverageColumn], spec: BoardSpec) -> Averages:
    """Returns the averages of the rows that are on every dataset; those untested on one of them get a score only.

    A seed of one dataset has nothing to do with the same seed of another, so that the mean over datasets is that of the
    means over seeds, and variances add up.
    """
    by_dataset = [{entry.name: entry for entry in column.entries} for column in columns]
    everywhere = [name for name in by_dataset[0] if all(name in entries for entries in by_dataset)]
    tested = [name for name in everywhere if all(name in column.tested for column in columns)]
    found = _compare(tested, columns, spec) if tested else None
    rows = [_row(name, [entries[name] for entries in by_dataset], tested, found) for name in everywhere]
    order = sorted(range(len(rows)), key=lambda i: (-rows[i]["score"], rows[i]["predictor"]))
    best = printed(rows[order[0]]["score"]) if order else None
    in_procedure = spec.scope == "procedure"
    test = "satterthwaite" if in_procedure else "stratified-sign-flip"
    return Averages(
        rows=tuple(Average(**rows[i], best=printed(rows[i]["score"]) == best) for i in order),
        comparisons=() if found is None else _pairs([rows[i]["predictor"] for i in order], tested, found),
        test=test,
        test_title=title_of_test(test, spec.unit),
        correction="holm" if in_procedure else "max-t",
    )


def _compare(names: Sequence[str], columns: Sequence[AverageColumn], spec: BoardSpec) -> MacroAverage:
    return compare_across(
        [[column.systems[name].counts(column.clusters) for name in names] for column in columns],
        [column.metric for column in columns],
        scope=spec.scope,
        deterministic=[all(column.systems[name].deterministic for column in columns) for name in names],
        alpha=spec.alpha,
        n_resamples=spec.n_resamples,
        seed=spec.seed,
    )


def _row(name: str, entries: Sequence[Entry], tested: Sequence[str], found: MacroAverage | None) -> dict[str, Any]:
    """Returns the fields of an average but for `best`."""
    metrics = {metric: _mean([entry.metrics[metric] for entry in entries]) for metric in entries[0].metrics}
    fields = {"predictor": name, "score": _mean([entry.score for entry in entries]), "metrics": metrics}
    if found is None or name not in tested:
        standing = {"rank_low": None, "rank_high": None, "letters": "", "top": False}
        return fields | standing | dict.fromkeys(("se", "low", "high"), nan)
    i = tested.index(name)
    standing = found.standing[i]._asdict() | {"top": found.standing[i].rank_low == 1}
    return fields | standing | {key: float(getattr(found, key)[i]) for key in ("se", "low", "high")}


def _pairs(order: Sequence[str], tested: Sequence[str], found: MacroAverage) -> tuple[PairComparison, ...]:
    """Returns the tested pairs in the order of the rows."""
    ranked = [tested.index(name) for name in order if name in tested]
    keys = ("difference", "pair_se", "pair_low", "pair_high", "p_value", "p_adjusted")
    return tuple(
        PairComparison("", tested[a], tested[b], *(float(getattr(found, key)[a, b]) for key in keys))
        for a, b in combinations(ranked, 2)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
