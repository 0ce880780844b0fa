"""Two systems over several datasets: the average over datasets, and on how many of them one is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.data import Split
from harness.errors import ConfigError
from harness.evaluation.comparison import compare_groups, default_scope
from harness.evaluation.scoring import DIALOGUE, resolve_metric
from harness.evaluation.utterances import unit_counts
from harness.significance import compare_across, count_wins
from harness.store import StoredRun

Pair = tuple[Sequence[StoredRun], Sequence[StoredRun]]
"""The runs of two systems on one split."""


@dataclass(frozen=True, slots=True)
class MacroComparison:
    """The plain mean over datasets of two systems; datasets are fixed strata, not a sample. Fractions."""

    datasets: tuple[str, ...]
    a: str
    """Its row labels, several where its parameters differ between datasets."""
    b: str
    score_a: float
    score_b: float
    difference: float
    """Score of a minus score of b."""
    se: float
    low: float
    high: float
    p_value: float
    scope: str
    unit: str
    test: str
    """Stratified sign-flip in checkpoint scope, Satterthwaite in procedure scope."""
    alpha: float


@dataclass(frozen=True, slots=True)
class Wins:
    """On at least how many datasets one system is better, by partial conjunction; each claim holds at level alpha."""

    a: int
    """Datasets on at least which a is better than b."""
    b: int
    n_datasets: int
    alpha: float


def compare_datasets(
    pairs: Sequence[Pair],
    *,
    metric: str | None = None,
    scope: str | None = None,
    unit: str = DIALOGUE,
    test: str | None = None,
    alpha: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
    splits: Sequence[Split | None] = (),
) -> tuple[MacroComparison, Wins]:
    """Returns the average over datasets of two systems compared, and the number of datasets on which one is better.

    Args:
        pairs: the runs of the same two systems, one pair a dataset.
        metric: name; default: the main metric of each dataset.
        scope: as in `compare_runs`; default: checkpoint if every system has one run everywhere.
        unit: as in `compare_runs`.
        test: of single datasets, for the number of wins; the average has its own.
        alpha: level of tests and intervals.
        n_resamples: replicates of a resampling test.
        seed: key of its random streams.
        splits: per dataset, what they predicted; needed for unit "utterance" only.

    Raises:
        ConfigError: a dataset occurs twice, the predictors differ between datasets, or as `compare_across` says.
        IncompatibleRunsError: runs of one dataset may not meet in one table.
        UnknownNameError: no such metric.
        StoreError: a file is missing or corrupt.
    """
    chosen = scope or default_scope([group for pair in pairs for group in pair])
    known = splits or [None] * len(pairs)
    compared = [
        compare_groups(pair, metric, chosen, unit, test, "none", alpha, n_resamples, seed, split)
        for pair, split in zip(pairs, known, strict=True)
    ]
    datasets, first = tuple(one.dataset for one in compared), compared[0]
    if len(set(datasets)) < len(datasets):
        raise ConfigError(f"datasets are {', '.join(datasets)}; give each once")
    names = [tuple(system.runs[0].manifest.predictor.name for system in one.systems) for one in compared]
    for one, own in zip(compared, names, strict=True):
        if own != names[0]:
            raise ConfigError(
                f"the predictors are {' and '.join(names[0])} on {first.dataset!r} but {' and '.join(own)} on "
                f"{one.dataset!r}; give runs of the same two everywhere"
            )
    macro = compare_across(
        [unit_counts(one.systems, unit, split) for one, split in zip(compared, known, strict=True)],
        [resolve_metric(one.result.metric, one.systems[0].runs[0]) for one in compared],
        scope=chosen,  # type: ignore[arg-type]  # compare_systems has refused other words
        deterministic=[system.deterministic for system in first.systems],
        alpha=alpha,
        n_resamples=n_resamples,
        seed=seed,
    )
    wins = count_wins([one.result for one in compared], alpha)
    return MacroComparison(
        datasets=datasets,
        a=" / ".join(dict.fromkeys(one.labels[0] for one in compared)),
        b=" / ".join(dict.fromkeys(one.labels[1] for one in compared)),
        score_a=float(macro.score[0]),
        score_b=float(macro.score[1]),
        difference=float(macro.difference[0, 1]),
        se=float(macro.pair_se[0, 1]),
        low=float(macro.pair_low[0, 1]),
        high=float(macro.pair_high[0, 1]),
        p_value=float(macro.p_value[0, 1]),
        scope=chosen,
        unit=unit,
        test="stratified sign-flip" if chosen == "checkpoint" else "satterthwaite",
        alpha=alpha,
    ), Wins(int(wins[0, 1]), int(wins[1, 0]), len(compared), alpha)
