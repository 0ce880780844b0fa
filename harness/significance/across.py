"""The average over datasets, compared between systems: datasets are fixed strata, not a sample of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import ConfigError
from harness.metrics import Metric
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.compare import Scope, takes_part
from harness.significance.corrections import Exceedances, holm
from harness.significance.estimates import Estimates, PairFamily, estimate_scores, pair_family
from harness.significance.intervals import t_p_value
from harness.significance.matrices import Standing, square, standings
from harness.significance.pair_tests import NO_DIFFERENCE, PairTest, narrow_product, random_signs
from harness.significance.panel import build_panel
from harness.significance.ranks import BoolArray
from harness.significance.seeds import no_seed_variance, seed_variance
from harness.significance.streams import check_numbers


@dataclass(frozen=True, eq=False)
class MacroAverage:
    """Averages over datasets with intervals and all pairs; fractions, [a, b] speaks of a minus b."""

    score: FloatArray
    """float64 (n_systems,): plain mean over datasets."""
    se: FloatArray
    low: FloatArray
    high: FloatArray
    standing: tuple[Standing, ...]
    """Rank set and letters per system."""
    difference: FloatArray
    """float64 (n_systems, n_systems), as are the following."""
    pair_se: FloatArray
    pair_low: FloatArray
    pair_high: FloatArray
    p_value: FloatArray
    p_adjusted: FloatArray
    """Step-down max-T in checkpoint scope, Holm in procedure scope, over all pairs."""
    rejected: BoolArray


def compare_across(
    counts: Sequence[Sequence[IntArray]],
    metrics: Sequence[Metric],
    *,
    scope: Scope = "checkpoint",
    deterministic: Sequence[bool] | None = None,
    alpha: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> MacroAverage:
    """Compares the mean score over datasets between all pairs of systems.

    Null hypothesis of a pair: the two means are equal in the populations of dialogues (and, in procedure scope, of
    seeds). Unit: the dialogue, within its dataset. Assumes that datasets share no dialogue and that runs on different
    datasets were trained apart. The calibration of single datasets was measured; that of their average follows by
    derivation only.

    Args:
        counts: per dataset, per system, int64 (n_seeds, n_dialogues, n_labels, n_labels + 1); every cell is needed.
        metrics: per dataset, what to score; higher must be better.
        scope: as in `compare_systems`; checkpoint scope tests by stratified sign-flip with max-T, procedure scope by
            Satterthwaite with Holm.
        deterministic: per system, whether training again gives the same predictions.
        alpha: level of tests and intervals.
        n_resamples: sign patterns.
        seed: key of the random streams.

    Raises:
        ConfigError: fewer than two datasets, a missing cell, too few seeds, or as `build_panel` says.
        IncompatibleRunsError: systems were scored on different gold within a dataset.
    """
    check_numbers(alpha, n_resamples, seed)
    if len(counts) < 2 or len(metrics) != len(counts) or len({len(systems) for systems in counts}) != 1:
        raise ConfigError(
            f"counts hold {[len(systems) for systems in counts]!r} systems per dataset for {len(metrics)} metrics; "
            "give two or more datasets, a metric for each, and every system on every dataset"
        )
    families, scores = zip(
        *(_measure(systems, metric, scope, deterministic) for systems, metric in zip(counts, metrics, strict=True)),
        strict=True,
    )
    overall, differences = mean_of(scores), mean_of([family.estimates for family in families])
    if scope == "checkpoint":
        test = stratified_sign_flip(families, n_resamples, seed)
        p_value = test.p_value
        p_adjusted = p_value if test.p_step_down is None else test.p_step_down
    else:
        p_value = t_p_value(differences.value, differences.se, differences.df)
        p_adjusted = holm(p_value)
    low, high = overall.interval(alpha)
    pair_low, pair_high = differences.interval(alpha)
    pairs = (overall.value.size, families[0].first, families[0].second)
    adjusted = square(*pairs, p_adjusted, diagonal=1.0)
    everyone = np.ones(overall.value.size, np.bool_)
    return MacroAverage(
        score=overall.value,
        se=overall.se,
        low=low,
        high=high,
        standing=tuple(standings(overall.value, adjusted <= alpha, everyone)),
        difference=overall.value[:, None] - overall.value[None, :],
        pair_se=square(*pairs, differences.se, diagonal=0.0),
        pair_low=square(*pairs, pair_low, lower=-pair_high, diagonal=0.0),
        pair_high=square(*pairs, pair_high, lower=-pair_low, diagonal=0.0),
        p_value=square(*pairs, p_value, diagonal=1.0),
        p_adjusted=adjusted,
        rejected=adjusted <= alpha,
    )


def _measure(
    systems: Sequence[IntArray], metric: Metric, scope: Scope, deterministic: Sequence[bool] | None
) -> tuple[PairFamily, Estimates]:
    """Returns the pairs and the scores of one dataset; raises ConfigError if a system lacks seeds."""
    panel = build_panel(systems, metric)
    if not takes_part(panel, scope, deterministic).all():
        raise ConfigError("a system has too few seeds on some dataset; procedure scope needs 3 of each")
    in_procedure = scope == "procedure"
    seeds = seed_variance(panel.scores, panel.influences) if in_procedure else no_seed_variance(panel.n_systems)
    return pair_family(panel, seeds, np.arange(panel.n_systems)), estimate_scores(panel, seeds)


def mean_of(parts: Sequence[Estimates]) -> Estimates:
    """Returns the mean of independent estimates: variance sum V_k / K^2, degrees of freedom by Satterthwaite 1946."""
    n = len(parts)
    variances = np.stack([part.variance for part in parts]) / n**2
    variance = variances.sum(axis=0)
    spread = (variances**2 / np.stack([part.df for part in parts])).sum(axis=0)
    fewest = np.stack([part.df for part in parts]).min(axis=0)
    return Estimates(
        value=np.stack([part.value for part in parts]).mean(axis=0),
        dialogue_variance=np.stack([part.dialogue_variance for part in parts]).sum(axis=0) / n**2,
        variance=variance,
        df=np.where(spread > 0, variance**2 / np.where(spread > 0, spread, 1.0), fewest),
    )


def stratified_sign_flip(families: Sequence[PairFamily], n_resamples: int, seed: int) -> PairTest:
    """Tests the mean difference of each pair by flipping whole dialogues, centred within each dataset.

    T = sum_k num_k / sqrt(sum_k G_k/(G_k - 1) (q_k - num_k^2/G_k)) with num_k = v_k eps and q_k = v_k v_k; common
    signs for all pairs, step-down max-T. With one dataset this is `sign_flip`.
    Source: Winkler et al. 2014 (exchangeability within strata), Romano & Wolf 2005.
    """
    a, b = families[0].first, families[0].second
    rows = [family.panel.contributions for family in families]
    sizes = [len(row[0]) for row in rows]
    squares = [((row[a] - row[b]) ** 2).sum(axis=1)[:, None] for row in rows]

    def statistics(signs: FloatArray) -> FloatArray:
        total = np.zeros((a.size, signs.shape[1]))
        variance = np.zeros_like(total)
        for row, size, q, own in zip(rows, sizes, squares, np.split(signs, np.cumsum(sizes)[:-1]), strict=True):
            flipped = narrow_product(row, own)
            moved = flipped[a] - flipped[b]
            total += moved
            variance += size / (size - 1) * np.maximum(q - moved**2 / size, 1e-12 * q)
        return np.abs(total) / np.sqrt(np.where(variance > NO_DIFFERENCE, variance, np.inf))

    counter = Exceedances(statistics(np.ones((sum(sizes), 1)))[:, 0], joint=True)
    for signs in random_signs(sum(sizes), n_resamples, seed):
        counter.add(statistics(signs)[counter.order])
    p_value, p_step_down = counter.p_values(exact=False)
    return PairTest(p_value, p_step_down, n_resamples)
