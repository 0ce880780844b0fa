"""The records of a leaderboard, made from the systems of one dataset and their comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

import harness
from harness.evaluation.scoring import System, score_table
from harness.leaderboard.leaderboard import DatasetHeader, Entry, LabelScore, PairComparison
from harness.leaderboard.spec import BoardSpec
from harness.metrics import Metric
from harness.significance import SystemComparison, smallest_detectable
from harness.store import RunStore, StoredRun

SHORT = {
    "weighted_f1": "wF1",
    "macro_f1": "mF1",
    "accuracy": "acc",
    "micro_f1": "miF1",
    "micro_f1_no_neutral": "miF1-nn",
}
"""Names of metrics in signatures."""

TEST_TITLES = {
    "stratified-sign-flip": "studentised sign-flip test over dialogues within each dataset",
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

TO_TOP = ("to_top_low", "to_top_high", "to_top_p_adjusted", "to_top_detectable")
"""Fields of an entry that need a test of its difference to the leader."""

POWER = ("critical_value", "median_pair_se", "detectable", "detectable_adjusted")
"""Fields of a header that need a tested pair."""


def make_entry(
    system: System,
    title: str,
    spec: BoardSpec,
    metric: Metric,
    result: SystemComparison,
    i: int,
    leader: int | None,
    best: bool,
    store: RunStore,
) -> Entry:
    """Returns the entry of the system at index `i` of a comparison whose best tested system is at index `leader`."""
    manifest = system.runs[0].manifest
    return Entry(
        predictor=system.label,
        dataset=manifest.data.dataset,
        score=float(result.score[i]),
        se=float(result.se[i]),
        se_dialogue=float(result.se_dialogue[i]),
        se_seed=float(result.se_seed[i]),
        se_interaction=float(result.se_interaction[i]),
        low=float(result.low[i]),
        high=float(result.high[i]),
        rank_low=result.rank_low[i],
        rank_high=result.rank_high[i],
        letters=result.letters[i],
        top=result.top[i],
        **_to_top(result, i, leader),
        best=best,
        n_seeds=len(system.runs),
        coverage=system.coverage,
        context=str(manifest.predictor.card["context"]),
        modalities=tuple(manifest.predictor.card["modalities"]),
        metrics=_mean_metrics(system, (metric.name, *spec.metrics)),
        runs=tuple(str(run.path.relative_to(store.layout.root)) for run in system.runs),
        title=title,
    )


def _to_top(result: SystemComparison, i: int, leader: int | None) -> dict[str, float | None]:
    """Returns the fields of an entry that compare it with the leader."""
    fields: dict[str, float | None] = dict.fromkeys(("to_top", *TO_TOP))
    if leader is not None:
        fields["to_top"] = float(result.difference[i, leader])
    if leader is not None and i != leader and result.tested[i]:
        found = smallest_detectable(result.pair_se[i, leader], result.critical_value)
        values = (*(m[i, leader] for m in (result.pair_low, result.pair_high, result.p_adjusted)), found)
        fields |= {name: float(value) for name, value in zip(TO_TOP, values, strict=True)}
    return fields


def _mean_metrics(system: System, names: Iterable[str]) -> dict[str, float]:
    """Returns metrics by name, mean over the runs of a system."""
    wanted = list(dict.fromkeys(names))
    neutral = system.runs[0].manifest.data.neutral
    rows = [score_table(table, wanted, neutral) for table in system.tables]
    return {name: sum(row[name] for row in rows) / len(rows) for name in wanted}


def make_pairs(
    dataset: str, order: Sequence[int], systems: Sequence[System], result: SystemComparison
) -> tuple[PairComparison, ...]:
    """Returns the tested pairs in the order of the table."""
    return tuple(
        PairComparison(
            dataset,
            systems[a].label,
            systems[b].label,
            float(result.difference[a, b]),
            float(result.pair_se[a, b]),
            float(result.pair_low[a, b]),
            float(result.pair_high[a, b]),
            float(result.p_value[a, b]),
            float(result.p_adjusted[a, b]),
        )
        for a, b in combinations(order, 2)
        if result.tested[a] and result.tested[b]
    )


def make_header(
    run: StoredRun, systems: Sequence[System], spec: BoardSpec, metric: Metric, result: SystemComparison
) -> DatasetHeader:
    """Returns what the entries of a dataset share; `run` is any of theirs."""
    data = run.manifest.data
    return DatasetHeader(
        dataset=data.dataset,
        split=data.split,
        fingerprint=data.fingerprint,
        labels=data.labels,
        n_utterances=result.n_utterances,
        n_dialogues=data.n_dialogues,
        metric=metric.name,
        unit=spec.unit,
        n_clusters=result.n_dialogues,
        effective_clusters=result.effective_clusters,
        **_power(result),
        signature=make_signature(systems, metric, result, spec.unit),
        warnings=(*data.notes, *spec.notes, *result.warnings),
    )


def make_signature(systems: Sequence[System], metric: Metric, result: SystemComparison, unit: str) -> str:
    """Returns everything that two tables must share to be compared, on one line, for the systems of one dataset."""
    data = systems[0].runs[0].manifest.data
    contexts = sorted({str(s.runs[0].manifest.predictor.card["context"]) for s in systems})
    answers = sorted({str(f["answers"]) for s in systems if "answers" in (f := s.runs[0].manifest.predictor.facts)})
    seeds = sorted({len(s.runs) for s in systems if not s.deterministic}) or [1]
    return "|".join(
        (
            SHORT.get(metric.name, metric.name),
            f"data:{data.dataset}@{data.fingerprint[:8]}",
            f"split:{data.split}",
            f"n:{result.n_utterances}/{data.n_dialogues}",
            f"labels:{len(data.labels)}",
            f"ctx:{','.join(contexts)}",
            *([f"answers:{','.join(answers)}"] if answers else []),
            "unparsed:wrong",
            f"scope:{result.scope}",
            f"unit:{unit}",
            "ci:t",
            f"test:{result.test}",
            f"adj:{result.correction}",
            f"seeds:{seeds[0] if len(seeds) == 1 else f'{seeds[0]}-{seeds[-1]}'}",
            f"v:{harness.__version__}",
        )
    )


def _power(result: SystemComparison) -> dict[str, Any]:
    """Returns the fields of a header that say what the tests can find."""
    standard_errors = [result.pair_se[a, b] for a, b in combinations(np.flatnonzero(result.tested), 2)]
    if not standard_errors:
        return {"n_pairs": 0} | dict.fromkeys(POWER)
    median = np.median(standard_errors)
    single = smallest_detectable(median, NormalDist().inv_cdf(1 - result.alpha / 2))
    values = (result.critical_value, median, single, smallest_detectable(median, result.critical_value))
    return {"n_pairs": len(standard_errors)} | {name: float(v) for name, v in zip(POWER, values, strict=True)}


def make_label_score(entry: Entry, label: str, n_utterances: int, result: SystemComparison, i: int) -> LabelScore:
    """Returns F1 of one label of an entry, which is at index `i` of the comparison of that label."""
    return LabelScore(
        dataset=entry.dataset,
        predictor=entry.predictor,
        label=label,
        n_utterances=n_utterances,
        f1=float(result.score[i]),
        se=float(result.se[i]),
        low=float(result.low[i]),
        high=float(result.high[i]),
        letters=result.letters[i],
        top=result.top[i],
        best=printed(float(result.score[i])) == printed(float(result.score.max())),
    )


def printed(score: float) -> float:
    """Returns a score at the precision of tables, so that equal digits tie; float noise is settled first."""
    return round(float(f"{score:.10g}"), 4)


def title_of_test(test: str, unit: str) -> str:
    """Returns the name of a test in captions; `unit` is what it resamples."""
    return TEST_TITLES.get(test, test).replace("dialogues", f"{unit}s")
