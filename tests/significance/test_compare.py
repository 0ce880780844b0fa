"""The one entry: properties that any honest comparison has, and what it refuses."""

from dataclasses import fields

import numpy as np
import pytest
from scipy import stats

from harness.errors import ConfigError
from harness.metrics import Metric, get_metric
from harness.significance import compare_systems
from harness.significance.choices import CORRECTIONS, TESTS

WF1 = get_metric("weighted_f1")
MATRICES = ("difference", "pair_se", "pair_low", "pair_high", "p_value", "p_adjusted", "rejected")
CLOSED_FORM = ("t", "satterthwaite")
EVERY_TEST = [(scope, test) for scope, tests in TESTS.items() for test in tests if test != "mcnemar"]


def compare(split, scope="checkpoint", **options):
    return compare_systems(split.counts(), WF1, scope=scope, n_resamples=options.pop("n_resamples", 1999), **options)


def split_for(scope, meld_like, seeded):
    return meld_like if scope == "checkpoint" else seeded


@pytest.mark.parametrize(("scope", "test"), EVERY_TEST)
def test_check_13_swapping_systems_negates_the_difference_and_keeps_p(meld_like, seeded, scope, test):
    split = split_for(scope, meld_like, seeded)
    counts = split.counts()
    there = compare_systems(counts, WF1, scope=scope, test=test, n_resamples=1999)
    back = compare_systems(counts[::-1], WF1, scope=scope, test=test, n_resamples=1999)
    for name in MATRICES:
        assert (getattr(there, name) == getattr(back, name)[::-1, ::-1]).all(), name
    assert (there.difference == -there.difference.T).all() and (there.p_value == there.p_value.T).all()
    assert (there.pair_low == -there.pair_high.T).all()
    assert there.rank_low == back.rank_low[::-1] and there.letters == back.letters[::-1]


@pytest.mark.parametrize(("scope", "test"), EVERY_TEST)
def test_check_13_identical_systems_cannot_be_told_apart(meld_like, seeded, scope, test):
    counts = split_for(scope, meld_like, seeded).counts()
    result = compare_systems([*counts, counts[0].copy()], WF1, scope=scope, test=test, n_resamples=1999)
    if scope == "checkpoint":
        assert (result.pair_low[0, -1], result.pair_high[0, -1]) == (0, 0)
    assert result.difference[0, -1] == 0 and result.p_value[0, -1] == 1 and result.p_adjusted[0, -1] == 1
    assert result.letters[0] == result.letters[-1] and result.rank_low[0] == result.rank_low[-1]
    for name in MATRICES:
        assert np.isfinite(getattr(result, name)).all()


@pytest.mark.parametrize("scope", ["checkpoint", "procedure"])
def test_permuting_dialogues_or_labels_changes_nothing(meld_like, seeded, scope):
    counts = split_for(scope, meld_like, seeded).counts()
    rng = np.random.default_rng(0)
    dialogues, labels = rng.permutation(counts[0].shape[1]), rng.permutation(7)
    columns = np.append(labels, 7)
    closed = "t" if scope == "checkpoint" else "satterthwaite"
    plain = compare_systems(counts, WF1, scope=scope, test=closed)
    for moved in ([own[:, dialogues] for own in counts], [own[:, :, labels][..., columns] for own in counts]):
        again = compare_systems(moved, WF1, scope=scope, test=closed)
        for name in ("score", "se", "low", "high", *MATRICES):
            assert getattr(plain, name) == pytest.approx(getattr(again, name), abs=1e-12), name
        assert plain.letters == again.letters


def test_permuting_dialogues_redraws_signs_within_monte_carlo_error(meld_like):
    counts = meld_like.counts()
    order = np.random.default_rng(0).permutation(280)
    p = compare_systems(counts, WF1).p_value[2, 3]
    again = compare_systems([own[:, order] for own in counts], WF1).p_value[2, 3]
    assert p == pytest.approx(again, abs=4 * np.sqrt(2 * p * (1 - p) / 10_000))


def test_few_dialogues_are_enumerated_so_order_and_seed_do_not_matter(simulator, meld_sizes):
    rng = np.random.default_rng(1)
    counts = simulator(rng, meld_sizes(rng, 13), offsets=(0, 0.2, 0.8)).counts()
    plain = compare_systems(counts, WF1)
    moved = compare_systems([own[:, ::-1] for own in counts], WF1, seed=5)
    assert (plain.p_value == moved.p_value).all() and (plain.p_adjusted == moved.p_adjusted).all()
    assert plain.n_resamples == 2**12


def test_same_seed_same_bytes_and_other_seed_other_draws(meld_like):
    one, two, three = (compare(meld_like, seed=seed) for seed in (0, 0, 1))
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))  # nan equals nan here
    assert (one.p_value != three.p_value).any()


def test_checkpoint_numbers_by_hand(meld_like):
    result = compare(meld_like, test="t", alpha=0.1)
    assert result.low == pytest.approx(result.score - stats.t.ppf(0.95, 279) * result.se)
    d, se = result.difference[0, 3], result.pair_se[0, 3]
    assert (result.pair_low[0, 3], result.pair_high[0, 3]) == pytest.approx(
        (d - stats.t.ppf(0.95, 279) * se, d + stats.t.ppf(0.95, 279) * se)
    )
    assert result.p_value[0, 3] == pytest.approx(2 * stats.t.sf(abs(d / se), 279))
    assert result.se_dialogue == pytest.approx(result.se) and np.isnan(result.se_seed).all()
    assert result.n_utterances == meld_like.gold.size and result.n_dialogues == 280


def test_sign_flip_and_t_agree_on_many_dialogues(meld_like):
    flip, t = compare(meld_like, n_resamples=20_000), compare(meld_like, test="t")
    assert flip.p_value == pytest.approx(t.p_value, abs=0.015)


def test_procedure_numbers_by_hand(seeded):
    result = compare(seeded, "procedure")
    net = np.maximum(result.se_seed**2 - result.se_interaction**2, 0)
    assert result.se == pytest.approx(np.sqrt(result.se_dialogue**2 + net))
    assert (result.se_seed > 0).all() and (result.se_interaction > 0).all()
    assert (result.pair_se[0, 1] ** 2 >= net[0] + net[1]) and result.n_resamples == 0
    assert result.test == "satterthwaite" and result.correction == "holm"
    assert (result.p_adjusted >= result.p_value).all()


def test_seeds_are_not_paired_across_systems(seeded):
    counts = seeded.counts()
    shuffled = [counts[0], counts[1][[3, 0, 4, 1, 2]], counts[2]]
    plain, again = (compare_systems(own, WF1, scope="procedure") for own in (counts, shuffled))
    assert plain.p_value == pytest.approx(again.p_value, abs=1e-12)


def test_one_run_of_a_deterministic_system_takes_part_in_procedure_scope(seeded):
    counts = seeded.counts()
    counts[0] = counts[0][:1]
    result = compare_systems(counts, WF1, scope="procedure", deterministic=[True, False, False])
    assert result.tested == (True, True, True) and result.se_seed[0] == 0 and result.n_seeds == (1, 5, 5)
    assert result.se[0] == result.se_dialogue[0] and np.isfinite(result.p_value).all()


def test_too_few_seeds_are_shown_and_not_tested(seeded):
    counts = seeded.counts()
    whole = compare_systems([counts[0], counts[2]], WF1, scope="procedure")
    result = compare_systems([counts[0], counts[1][:2], counts[2]], WF1, scope="procedure")
    assert result.tested == (True, False, True) and result.top[1] is False
    assert result.score[1] == pytest.approx(compare_systems([counts[1][:1]], WF1).score[0], abs=0.02)
    assert np.isnan([result.se[1], result.low[1], result.high[1], result.se_seed[1]]).all()
    assert (result.rank_low[1], result.rank_high[1], result.letters[1]) == (None, None, "")
    assert np.isnan(result.p_value[1, [0, 2]]).all() and not result.rejected[1].any()
    assert "system 1 has 2 of the 3 seeds" in result.warnings[0]
    assert result.p_adjusted[0, 2] == whole.p_adjusted[0, 1] and result.rank_high[0] == whole.rank_high[0] == 2


def test_nobody_has_enough_seeds(seeded):
    result = compare_systems([own[:1] for own in seeded.counts()], WF1, scope="procedure")
    assert result.tested == (False, False, False) and len(result.warnings) == 3 and not any(result.top)


def test_a_single_system_gets_its_interval_and_letter(meld_like):
    result = compare_systems(meld_like.counts()[:1], WF1)
    assert result.letters == ("a",) and result.top == (True,) and (result.rank_low, result.rank_high) == ((1,), (1,))
    assert result.low[0] < result.score[0] < result.high[0]


def test_a_metric_without_gradient_uses_the_jackknife(meld_like):
    plain = compare(meld_like, test="t")
    bare = Metric("mine", "mine", "The same without calculus.", WF1.value)
    assert compare_systems(meld_like.counts(), bare, test="t").pair_se == pytest.approx(plain.pair_se, rel=0.03)


def test_where_lower_is_better_ranks_turn_round(meld_like):
    error = Metric(
        "loss", "loss", "Share of errors.", lambda t: 1 - get_metric("accuracy").value(t), None, "gradient", False
    )
    up, down = (compare_systems(meld_like.counts(), m) for m in (get_metric("accuracy"), error))
    assert up.rank_low == down.rank_low and up.letters == down.letters and up.top == down.top
    assert up.difference == pytest.approx(-down.difference)


@pytest.mark.parametrize("interval", ["percentile", "basic", "bca", "bootstrap-t"])
def test_bootstrap_intervals_come_near_the_default_on_many_dialogues(meld_like, interval):
    plain = compare(meld_like, test="t")
    other = compare(meld_like, test="t", interval=interval, n_resamples=4000)
    assert other.interval == interval and (other.p_value == plain.p_value).all() and (other.se == plain.se).all()
    assert np.abs(other.low - plain.low).max() < 0.25 * plain.se.max()
    assert np.abs(other.pair_high - plain.pair_high).max() < 0.25 * plain.pair_se.max()
    assert (other.low != plain.low).all() and (other.pair_low == -other.pair_high.T).all()


def test_rejections_decide_everything_else(meld_like):
    result = compare(meld_like)
    assert (result.rejected == (result.p_adjusted <= result.alpha)).all()
    assert result.top == tuple(rank == 1 for rank in result.rank_low)
    for a in range(4):
        for b in range(4):
            assert bool(set(result.letters[a]) & set(result.letters[b])) == (not result.rejected[a, b])


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_corrections_are_applied_to_all_pairs(meld_like, correction):
    result = compare(meld_like, test="t", correction=correction)
    upper = np.triu_indices(4, 1)
    assert result.p_adjusted[upper] == pytest.approx(CORRECTIONS[correction](result.p_value[upper]))
    assert result.correction == correction


def test_a_correction_that_can_reject_nothing_is_refused(simulator, meld_sizes):
    rng = np.random.default_rng(2)
    counts = simulator(rng, meld_sizes(rng, 60), offsets=np.linspace(0, 1, 20)).counts()
    with pytest.raises(ConfigError, match=r"190 pairs can reject nothing.*n_resamples=3799 or more"):
        compare_systems(counts, WF1, correction="holm", n_resamples=1999)
    assert compare_systems(counts, WF1, correction="holm", n_resamples=3799).rejected.any()
    assert compare_systems(counts, WF1, n_resamples=1999).rejected.any()  # max-T needs resolution at alpha only
    with pytest.raises(ConfigError, match="n_resamples=19 or more"):
        compare_systems(counts, WF1, n_resamples=18)
    with pytest.raises(ConfigError, match=r"use correction='max-t' with test='sign-flip'$"):
        compare_systems([own[:, :10] for own in counts], WF1, correction="bonferroni")


def test_a_borderline_decision_is_flagged(meld_like):
    p = compare(meld_like).p_adjusted[2, 3]
    close = compare(meld_like, alpha=float(p) + 1e-4)
    assert any("within Monte-Carlo error" in line for line in close.warnings)
    assert not any("Monte-Carlo" in line for line in compare(meld_like, test="t", alpha=float(p)).warnings)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scope": "seeds"}, "scope is 'seeds'; allowed: checkpoint, procedure"),
        ({"test": "anova"}, "test is 'anova'; allowed in checkpoint scope: sign-flip, t,"),
        ({"scope": "procedure", "test": "sign-flip"}, "allowed in procedure scope: satterthwaite"),
        (
            {"scope": "procedure", "correction": "max-t"},
            "correction is 'max-t'; allowed with test 'satterthwaite': holm",
        ),
        ({"test": "swap", "correction": "max-t"}, "allowed with test 'swap': holm"),
        (
            {"interval": "wald"},
            "interval is 'wald'; allowed in checkpoint scope: t, percentile, basic, bca, bootstrap-t",
        ),
        ({"scope": "procedure", "interval": "bca"}, "allowed in procedure scope: t$"),
        ({"interval": "bca", "n_resamples": 30}, "n_resamples=30 is too few"),
        ({"correction": "tukey"}, "allowed with test 'sign-flip': max-t, holm"),
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": 5}, "alpha=5"),
        ({"seed": -1}, "seed=-1"),
        ({"n_resamples": 0}, "n_resamples=0"),
        ({"scope": "procedure", "deterministic": [True]}, "deterministic has 1 entries; give one per system, 4"),
    ],
)
def test_options_that_are_not_allowed(meld_like, options, says):
    with pytest.raises(ConfigError, match=says):
        compare_systems(meld_like.counts(), WF1, **options)


def test_checkpoint_scope_takes_one_seed(seeded):
    with pytest.raises(ConfigError, match="system 0 has 5 seeds; checkpoint scope takes one run"):
        compare_systems(seeded.counts(), WF1)
