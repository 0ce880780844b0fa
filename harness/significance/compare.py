"""The one entry for comparing systems on one split: from confusion counts to scores, p-values, ranks and letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

from harness.errors import ConfigError
from harness.metrics import Metric
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.choices import (
    CORRECTIONS,
    MAX_T,
    TESTS,
    check_interval,
    check_resolution,
    critical_value,
    resolve,
)
from harness.significance.estimates import estimate_scores, pair_family
from harness.significance.matrices import square, standings
from harness.significance.pair_tests import PairTest
from harness.significance.panel import Panel, build_panel
from harness.significance.ranks import BoolArray
from harness.significance.replicate_intervals import bootstrap_intervals
from harness.significance.result import SystemComparison
from harness.significance.seeds import no_seed_variance, seed_variance
from harness.significance.streams import check_numbers
from harness.significance.units import DIALOGUE, check_unit

Scope = Literal["checkpoint", "procedure"]
FEWEST_SEEDS = 3


def compare_systems(
    counts: Sequence[IntArray],
    metric: Metric,
    *,
    scope: Scope = "checkpoint",
    deterministic: Sequence[bool] | None = None,
    names: Sequence[str] | None = None,
    test: str | None = None,
    correction: str | None = None,
    interval: str = "t",
    alpha: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
    baseline: int | None = None,
    unit: str = DIALOGUE,
) -> SystemComparison:
    """Compares all pairs of systems on one split, or each system with a baseline.

    Unit of resampling: the dialogue, or what `unit` says. In checkpoint scope the null hypothesis of a pair is that
    these very predictions score alike on the population of dialogues; in procedure scope, that the two training
    procedures do on average over seeds. The family of the correction is all pairs of tested systems, or their pairs
    with the baseline.

    Args:
        counts: per system, int64 (n_seeds, n_dialogues, n_labels, n_labels + 1), all on the same gold.
        metric: what to score.
        scope: "checkpoint" takes one seed per system; "procedure" takes 3 or more, or 1 of a deterministic system.
            Other systems are shown with their score and take no part in tests.
        deterministic: per system, whether training again gives the same predictions; default: none does.
        names: per system, what warnings call it; default: its position.
        test: checkpoint: "sign-flip" (default), "t", "bootstrap-t", "swap", "shifted-bootstrap" or "mcnemar";
            procedure: "satterthwaite" (default) or "crossed-bootstrap".
        correction: "max-t" (default after sign-flip and bootstrap-t only), "holm" (default otherwise), "bonferroni",
            "benjamini-hochberg" (bounds the false discovery rate only) or "none".
        interval: "t"; in checkpoint scope also "percentile", "basic", "bca" or "bootstrap-t".
        alpha: level of tests and intervals.
        n_resamples: replicates of a resampling test.
        seed: key of its random streams.
        baseline: index of a system: only pairs with it are tested and corrected, which finds more than all pairs do,
            and says nothing of the others among themselves: rank sets, letters and top group stay empty. To be chosen
            before the scores are seen.
        unit: what a row of counts holds: "dialogue", "utterance", or the name of a coarser unit (see `regroup`).

    Raises:
        ConfigError: an option is not allowed, counts have another shape, there are fewer than 10 dialogues, checkpoint
            scope meets several seeds, the baseline is no system or has too few seeds, or the correction could reject
            nothing with so few replicates.
        IncompatibleRunsError: systems were scored on different gold.
    """
    check_numbers(alpha, n_resamples, seed)
    test, correction = resolve(scope, test, correction)
    check_interval(scope, interval, n_resamples, alpha)
    panel = build_panel(counts, metric)
    check_unit(unit, panel.sizes)
    tested = takes_part(panel, scope, deterministic)
    _check_baseline(baseline, tested)
    in_procedure = scope == "procedure"
    seeds = seed_variance(panel.scores, panel.influences) if in_procedure else no_seed_variance(panel.n_systems)
    family = pair_family(panel, seeds, np.flatnonzero(tested), baseline)
    result = TESTS[scope][test](family, n_resamples, seed, correction == MAX_T)
    check_resolution(result, correction, alpha)
    p_adjusted = CORRECTIONS[correction](result.p_value) if result.p_step_down is None else result.p_step_down

    scores = estimate_scores(panel, seeds)
    if interval == "t":
        (low, high), (pair_low, pair_high) = scores.interval(alpha), family.estimates.interval(alpha)
    else:
        (low, high), (pair_low, pair_high) = bootstrap_intervals(
            interval, scores, family, alpha=alpha, n_resamples=n_resamples, seed=seed
        )
    pair_matrix = partial(square, panel.n_systems, family.first, family.second)
    adjusted = pair_matrix(p_adjusted, diagonal=1.0)
    rejected = adjusted <= alpha
    ranked = tested & (baseline is None)
    standing = standings(panel.mean_score, rejected, ranked, higher_is_better=metric.higher_is_better)

    def where_tested(values: FloatArray) -> FloatArray:
        return np.where(tested, values, np.nan)

    def over_seeds(variance: FloatArray) -> FloatArray:
        return np.where(tested & in_procedure, np.sqrt(variance), np.nan)

    return SystemComparison(
        score=panel.mean_score,
        se=where_tested(scores.se),
        low=where_tested(low),
        high=where_tested(high),
        se_dialogue=where_tested(np.sqrt(scores.dialogue_variance)),
        se_seed=over_seeds(seeds.seed),
        se_interaction=over_seeds(seeds.interaction),
        n_seeds=tuple(panel.n_seeds.tolist()),
        tested=tuple(tested.tolist()),
        rank_low=tuple(row.rank_low for row in standing),
        rank_high=tuple(row.rank_high for row in standing),
        letters=tuple(row.letters for row in standing),
        top=tuple(row.rank_low == 1 for row in standing),
        difference=panel.mean_score[:, None] - panel.mean_score[None, :],
        pair_se=pair_matrix(family.estimates.se, diagonal=0.0),
        pair_low=pair_matrix(pair_low, lower=-pair_high, diagonal=0.0),
        pair_high=pair_matrix(pair_high, lower=-pair_low, diagonal=0.0),
        p_value=pair_matrix(result.p_value, diagonal=1.0),
        p_adjusted=adjusted,
        rejected=rejected,
        critical_value=critical_value(result, correction, alpha),
        n_dialogues=panel.n_dialogues,
        n_utterances=int(panel.sizes.sum()),
        effective_clusters=panel.effective_clusters,
        metric=metric.name,
        scope=scope,
        unit=unit,
        baseline=baseline,
        test=test,
        correction=correction,
        interval=interval,
        alpha=alpha,
        n_resamples=result.n_resamples,
        seed=seed,
        warnings=(*panel.warnings(unit), *_untested(panel, tested, names), *_borderline(result, p_adjusted, alpha)),
    )


def takes_part(panel: Panel, scope: Scope, deterministic: Sequence[bool] | None) -> BoolArray:
    """Returns bool (n_systems,): which systems have the seeds that the scope needs."""
    if deterministic is not None and len(deterministic) != panel.n_systems:
        raise ConfigError(f"deterministic has {len(deterministic)} entries; give one per system, {panel.n_systems}")
    if scope == "procedure":
        fixed = np.array([False] * panel.n_systems if deterministic is None else deterministic, np.bool_)
        return fixed | (panel.n_seeds >= FEWEST_SEEDS)
    panel.check_one_run_each()
    return np.ones(panel.n_systems, np.bool_)


def _check_baseline(baseline: int | None, tested: BoolArray) -> None:
    """Refuses a baseline that no system can be tested against."""
    if baseline is None or (0 <= baseline < tested.size and tested[baseline]):
        return
    raise ConfigError(
        f"baseline is {baseline!r}; give the index of a tested system: "
        f"{', '.join(str(i) for i in np.flatnonzero(tested)) or 'there is none'}"
    )


def _untested(panel: Panel, tested: BoolArray, names: Sequence[str] | None) -> list[str]:
    """Returns a note on each system that takes no part."""
    return [
        f"{names[i] if names else f'system {i}'} has {int(panel.n_seeds[i])} of the {FEWEST_SEEDS} seeds that scope "
        "procedure needs: its score is shown without interval or test; run more seeds, or declare it deterministic"
        for i in np.flatnonzero(~tested).tolist()
    ]


def _borderline(result: PairTest, p_adjusted: FloatArray, alpha: float) -> list[str]:
    """Returns a note if drawing other replicates might change a decision."""
    if result.exact or not result.n_resamples:
        return []
    error = 1.96 * math.sqrt(alpha * (1 - alpha) / result.n_resamples)
    n_close = int((np.abs(p_adjusted - alpha) < error).sum())
    if not n_close:
        return []
    return [f"{n_close} adjusted p within Monte-Carlo error of alpha={alpha!r}: use n_resamples=100000 or more"]
