"""The sign-flip test against scipy's permutation test and full enumeration of the studentised statistic."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from harness.metrics import get_metric
from harness.significance.pair_tests import all_signs, random_signs, sign_flip
from harness.significance.panel import build_panel


def panel_of(split, name="weighted_f1"):
    return build_panel(split.counts(), get_metric(name))


@pytest.fixture
def twelve(simulator, meld_sizes):
    rng = np.random.default_rng(3)
    return simulator(rng, meld_sizes(rng, 12), offsets=(0.0, 0.1, 0.3, 0.5))


PAIRS = np.triu_indices(4, 1)


def studentised_enumeration(v):
    """|T| of every pair under all sign patterns, as defined, without any shortcut: (n_pairs, 2**G); first observed."""
    n_dialogues = v.shape[1]
    signs = np.array(list(product([1, -1], repeat=n_dialogues))).T
    num, q = v @ signs, (v**2).sum(axis=1)[:, None]
    return np.sqrt((n_dialogues - 1) / n_dialogues) * np.abs(num) / np.sqrt(q - num**2 / n_dialogues)


def test_accuracy_equals_scipy_permutation_of_dialogues(twelve):
    panel = panel_of(twelve, "accuracy")
    ours = sign_flip(panel.contributions, *PAIRS, n_resamples=1, seed=0)
    assert ours.exact and ours.n_resamples == 2**11
    n_correct = [np.bincount(twelve.dialogue, twelve.predictions[m, 0] == twelve.gold, minlength=12) for m in range(4)]
    for pair, (a, b) in enumerate(zip(*PAIRS, strict=True)):
        oracle = stats.permutation_test(
            (n_correct[a], n_correct[b]),
            lambda x, y, axis: (x - y).sum(axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        )
        assert ours.p_value[pair] == pytest.approx(oracle.pvalue, abs=1e-9)


@pytest.mark.parametrize("name", ["weighted_f1", "macro_f1"])
def test_enumeration_of_the_studentised_statistic_raw_and_step_down(twelve, name):
    panel = panel_of(twelve, name)
    ours = sign_flip(panel.contributions, *PAIRS, n_resamples=1, seed=0, step_down=True)
    null = studentised_enumeration(panel.contributions[PAIRS[0]] - panel.contributions[PAIRS[1]])
    observed = null[:, 0]
    assert ours.p_value == pytest.approx((null >= observed[:, None] - 1e-6).mean(axis=1), abs=1e-12)
    assert np.sort(np.repeat(ours.largest, 2)) == pytest.approx(np.sort(null.max(axis=0)), rel=1e-9)
    order, floor = np.argsort(-observed), 0.0
    for position, j in enumerate(order):
        floor = max(floor, (null[order[position:]].max(axis=0) >= observed[j] - 1e-6).mean())
        assert ours.p_step_down[j] == pytest.approx(floor, abs=1e-12)


def test_random_signs_come_near_the_enumeration(twelve):
    panel = panel_of(twelve)
    v = panel.contributions[0] - panel.contributions[1]
    exact = sign_flip(panel.contributions, np.array([0]), np.array([1]), n_resamples=1, seed=0).p_value[0]
    sums = np.concatenate([v @ signs for signs in random_signs(12, 20_000, 0)])
    share = (np.abs(sums) >= abs(v.sum()) - 1e-9).mean()
    assert share == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_every_sign_pattern_once_up_to_a_common_sign():
    patterns = np.concatenate(list(all_signs(13)), axis=1)
    assert patterns.shape == (13, 2**12) and set(np.unique(patterns)) == {-1.0, 1.0}
    both = {tuple(column) for column in patterns.T} | {tuple(-column) for column in patterns.T}
    assert len(both) == 2**13


def test_signs_are_fair_and_a_shorter_draw_is_a_prefix():
    long = np.concatenate(list(random_signs(20, 1000, 5)), axis=1)
    short = np.concatenate(list(random_signs(20, 300, 5)), axis=1)
    assert long.shape == (20, 1000) and (long[:, :300] == short).all()
    assert set(np.unique(long)) == {-1.0, 1.0}
    assert abs(long.mean()) < 4 / np.sqrt(20_000)
    assert (np.concatenate(list(random_signs(20, 300, 6)), axis=1) != short).any()


def test_another_system_in_the_table_leaves_raw_p_alone(meld_like):
    contributions = panel_of(meld_like).contributions
    alone = sign_flip(contributions[:2], np.array([0]), np.array([1]), n_resamples=999, seed=0)
    among = sign_flip(contributions, *PAIRS, n_resamples=999, seed=0)
    assert alone.p_value[0] == among.p_value[0]


def test_max_t_is_never_below_raw_and_identical_systems_get_one(meld_like):
    contributions = panel_of(meld_like).contributions
    doubled = np.vstack([contributions, contributions[:1]])
    test = sign_flip(doubled, *np.triu_indices(5, 1), n_resamples=999, seed=0, step_down=True)
    assert (test.p_step_down >= test.p_value).all()
    same = 3  # pair (0, 4)
    assert test.p_value[same] == 1 and test.p_step_down[same] == 1 and np.isfinite(test.p_step_down).all()


def test_no_pair_at_all():
    nothing = np.array([], int)
    test = sign_flip(np.zeros((1, 20)), nothing, nothing, n_resamples=99, seed=0, step_down=True)
    assert test.p_value.size == 0 and test.p_step_down.size == 0
