"""Bootstrap-t and simultaneous intervals against plain loops over the same draws."""

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.metrics import Metric, get_metric, totals_of
from harness.significance import compare_systems, simultaneous_intervals
from harness.significance.bootstrap import dialogue_draws
from harness.significance.estimates import pair_family
from harness.significance.influence import gradient_influence
from harness.significance.panel import build_panel
from harness.significance.seeds import no_seed_variance
from harness.significance.studentised import bootstrap_t, pair_replicates

WF1 = get_metric("weighted_f1")


def family_of(counts, metric=WF1):
    panel = build_panel(counts, metric)
    return pair_family(panel, no_seed_variance(panel.n_systems), np.arange(panel.n_systems))


def plain_statistic(counts, a, b, weights):
    """|d* - d| / SE* of one replicate, on the dialogues written out as often as they were drawn."""
    chosen = np.repeat(np.arange(weights.size), weights)
    score = [float(WF1.value(totals_of(own[0].sum(axis=0)))) for own in (counts[a], counts[b])]
    drawn = [totals_of(own[0][chosen]) for own in (counts[a], counts[b])]
    replicate = [float(WF1.value(own.over_dialogues())) for own in drawn]
    u = gradient_influence(drawn[0], WF1) - gradient_influence(drawn[1], WF1)
    se = np.sqrt(weights.size / (weights.size - 1) * (u**2).sum())
    return abs(replicate[0] - replicate[1] - score[0] + score[1]) / se


def test_replicates_equal_a_plain_loop(meld_like):
    counts = meld_like.counts()
    family = family_of(counts)
    null = np.concatenate(list(pair_replicates(family, 20, 5)), axis=1)
    weights = np.concatenate(list(dialogue_draws(280, 20, 5)))
    for row, (a, b) in enumerate(zip(family.first, family.second, strict=True)):
        for replicate in (0, 7, 19):
            assert null[row, replicate] == pytest.approx(plain_statistic(counts, a, b, weights[replicate]), rel=1e-8)


def test_p_is_the_share_of_larger_replicates(meld_like):
    family = family_of(meld_like.counts())
    test = bootstrap_t(family, 999, 0, step_down=True)
    null = np.concatenate(list(pair_replicates(family, 999, 0)), axis=1)
    observed = np.abs(family.estimates.value) / family.estimates.se
    assert test.p_value == pytest.approx((1 + (null >= observed[:, None] - 1e-6).sum(axis=1)) / 1000)
    assert (test.p_step_down >= test.p_value).all()


def test_near_identical_systems_do_not_break_the_others(meld_like):
    counts = meld_like.counts()
    twin = counts[0].copy()
    g, c = np.argwhere(np.diagonal(twin[0], axis1=1, axis2=2) > 0)[0]
    twin[0, g, c, c] -= 1
    twin[0, g, c, 7] += 1  # one right answer lost, in one dialogue
    result = compare_systems([*counts, twin], WF1, test="bootstrap-t", interval="bootstrap-t", n_resamples=1999)
    assert np.isfinite([result.p_value, result.pair_low, result.pair_high]).all()
    assert result.p_value[0, -1] > 0.3 and result.rejected[0, 3]


def test_simultaneous_intervals_are_wider_and_agree_with_single_step(meld_like):
    counts = meld_like.counts()
    joint = simultaneous_intervals(counts, WF1, n_resamples=1999)
    single = compare_systems(counts, WF1, test="t")
    off = ~np.eye(4, dtype=bool)
    assert (joint.low[off] < single.pair_low[off]).all() and (joint.high[off] > single.pair_high[off]).all()
    assert 2.3 < joint.critical_value < 3.2  # four systems: above 1.97, below Bonferroni's 2.66 plus noise
    assert (joint.low == -joint.high.T).all() and (np.diag(joint.low) == 0).all()
    largest = np.concatenate([null.max(axis=0) for null in pair_replicates(family_of(counts), 1999, 0)])
    outside = (joint.low > 0) | (joint.high < 0)
    for a, b in np.argwhere(np.triu(off)):
        t = abs(joint.difference[a, b]) / single.pair_se[a, b]
        assert outside[a, b] == (t > np.quantile(largest, 0.95))


def test_simultaneous_intervals_refuse_what_they_cannot_do(meld_like, seeded):
    with pytest.raises(ConfigError, match="system 0 has 5 seeds"):
        simultaneous_intervals(seeded.counts(), WF1)
    bare = Metric("mine", "mine", "No calculus.", WF1.value)
    with pytest.raises(ConfigError, match="'mine' has no gradient"):
        simultaneous_intervals(meld_like.counts(), bare)
    with pytest.raises(ConfigError, match="n_resamples=10 is too few"):
        simultaneous_intervals(meld_like.counts(), WF1, n_resamples=10)
