"""Averages over datasets against hand computation, the single-dataset test and simulation."""

import numpy as np
import pytest
from scipy import stats

from harness.errors import ConfigError, IncompatibleRunsError
from harness.metrics import get_metric
from harness.significance import compare_across, compare_systems
from harness.significance.across import stratified_sign_flip
from harness.significance.estimates import pair_family
from harness.significance.pair_tests import random_signs
from harness.significance.panel import build_panel
from harness.significance.seeds import no_seed_variance

WF1, ACCURACY = get_metric("weighted_f1"), get_metric("accuracy")


@pytest.fixture(scope="module")
def two(simulator, meld_sizes, iemocap_sizes):
    rng = np.random.default_rng(21)
    offsets = (0.0, 0.3, 0.35)
    return [simulator(rng, sizes, offsets=offsets).counts() for sizes in (meld_sizes(rng), iemocap_sizes(rng))]


def test_numbers_by_hand(two):
    result = compare_across(two, [WF1, ACCURACY])
    one, other = compare_systems(two[0], WF1, test="t"), compare_systems(two[1], ACCURACY, test="t")
    assert result.score == pytest.approx((one.score + other.score) / 2)
    assert result.difference == pytest.approx((one.difference + other.difference) / 2)
    assert result.pair_se == pytest.approx(np.sqrt(one.pair_se**2 + other.pair_se**2) / 2)
    v = one.se[0] ** 2, other.se[0] ** 2
    df = sum(v) ** 2 / (v[0] ** 2 / 279 + v[1] ** 2 / 30)
    half = stats.t.ppf(0.975, df) * np.sqrt(sum(v)) / 2
    assert (result.low[0], result.high[0]) == pytest.approx((result.score[0] - half, result.score[0] + half))
    assert (result.pair_low == -result.pair_high.T).all() and (result.p_adjusted >= result.p_value).all()
    assert result.standing[0].letters != result.standing[2].letters and result.standing[2].rank_low == 1


def test_stratified_flips_near_the_closed_form(two):
    result = compare_across(two, [WF1, WF1], n_resamples=20_000)
    closed = 2 * stats.norm.sf(np.abs(result.difference[1, 2] / result.pair_se[1, 2]))
    assert result.p_value[1, 2] == pytest.approx(closed, abs=0.03)


def test_one_stratum_is_the_plain_sign_flip(meld_like):
    panel = build_panel(meld_like.counts(), WF1)
    family = pair_family(panel, no_seed_variance(4), np.arange(4))
    ours = stratified_sign_flip([family], 1999, 3)
    plain = compare_systems(meld_like.counts(), WF1, n_resamples=1999, seed=3)
    upper = np.triu_indices(4, 1)
    assert (ours.p_value == plain.p_value[upper]).all() and (ours.p_step_down == plain.p_adjusted[upper]).all()


def test_statistic_is_centred_within_each_dataset(simulator, meld_sizes):
    """Against a plain loop over the same signs, on strata so small that a slip in any factor shows."""
    rng = np.random.default_rng(2)
    drawn = [simulator(rng, meld_sizes(rng, n), offsets=(0, 0.3, 0.2)) for n in (10, 25)]
    panels = [build_panel(split.counts(), WF1) for split in drawn]
    families = [pair_family(panel, no_seed_variance(3), np.arange(3)) for panel in panels]
    ours = stratified_sign_flip(families, 2000, 0)
    for pair, (a, b) in enumerate(zip(*np.triu_indices(3, 1), strict=True)):
        v = [panel.contributions[a] - panel.contributions[b] for panel in panels]

        def statistic(signs, v=v):
            flipped = v[0] * signs[:10], v[1] * signs[10:]
            total = sum(part.sum() for part in flipped)
            return abs(total) / np.sqrt(sum(part.size * part.var(ddof=1) for part in flipped))

        observed = statistic(np.ones(35))
        null = [statistic(signs) for block in random_signs(35, 2000, 0) for signs in block.T]
        assert ours.p_value[pair] == pytest.approx((1 + (np.array(null) >= observed - 1e-6).sum()) / 2001, abs=1e-12)


def test_identical_systems(two):
    result = compare_across([[*systems, systems[0]] for systems in two], [WF1, WF1], n_resamples=999)
    assert result.p_value[0, 3] == 1 and result.p_adjusted[0, 3] == 1 and result.difference[0, 3] == 0
    assert result.standing[0] == result.standing[3]


def test_procedure_scope_adds_seeds(seeded, two):
    counts = seeded.counts()
    result = compare_across([counts, counts], [WF1, WF1], scope="procedure")
    single = compare_systems(counts, WF1, scope="procedure")
    assert result.pair_se == pytest.approx(single.pair_se / np.sqrt(2))
    assert result.p_value[0, 2] < single.p_value[0, 2]
    with pytest.raises(ConfigError, match="too few seeds"):
        compare_across(two, [WF1, WF1], scope="procedure")


def test_every_cell_is_needed(two):
    with pytest.raises(ConfigError, match=r"\[3, 2\] systems per dataset for 2 metrics"):
        compare_across([two[0], two[1][:2]], [WF1, WF1])
    with pytest.raises(ConfigError, match="two or more datasets"):
        compare_across(two[:1], [WF1])
    with pytest.raises(IncompatibleRunsError):
        compare_across([two[0], [two[1][0], two[1][1][:, ::-1], two[1][2]]], [WF1, WF1])


def test_type_one_error_of_the_average(simulator, meld_sizes, iemocap_sizes):
    rng, n_splits, found = np.random.default_rng(5), 200, np.zeros(2)
    for _ in range(n_splits):
        drawn = [simulator(rng, sizes(rng), dialogue_variance=0.3079) for sizes in (meld_sizes, iemocap_sizes)]
        found[0] += compare_across([split.counts() for split in drawn], [WF1, WF1], n_resamples=499).rejected[0, 1]
        correct = np.concatenate([split.predictions[:, 0] == split.gold for split in drawn], axis=1).astype(float)
        found[1] += stats.ttest_rel(correct[0], correct[1]).pvalue <= 0.05  # pooled utterances as the unit
    assert found[0] / n_splits < 0.1
    assert found[1] / n_splits > 0.15


@pytest.mark.parametrize("scope", ["checkpoint", "procedure"])
def test_the_order_of_systems_and_of_datasets_does_not_matter(two, seeded, scope):
    counts = two if scope == "checkpoint" else [seeded.counts(), [own[:, ::-1] for own in seeded.counts()]]
    order = [2, 0, 1]
    plain = compare_across(counts, [WF1, WF1], scope=scope, n_resamples=999)
    moved = compare_across([[own[i] for i in order] for own in counts], [WF1, WF1], scope=scope, n_resamples=999)
    for name in ("difference", "pair_se", "pair_low", "pair_high", "p_value", "p_adjusted", "rejected"):
        assert (getattr(plain, name)[np.ix_(order, order)] == getattr(moved, name)).all(), name
    assert (plain.low[order] == moved.low).all() and moved.standing == tuple(plain.standing[i] for i in order)
    turned = compare_across(counts[::-1], [WF1, WF1], scope=scope, n_resamples=999)
    assert turned.pair_se == pytest.approx(plain.pair_se, rel=1e-12)
