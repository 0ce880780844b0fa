"""The optional tests against scipy, full enumeration and plain loops."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from harness.errors import ConfigError
from harness.metrics import get_metric, tally, totals_of
from harness.significance import compare_arrays, compare_systems
from harness.significance.bootstrap import dialogue_draws
from harness.significance.crossed import crossed_scores, seed_weights
from harness.significance.panel import build_panel

WF1, ACCURACY = get_metric("weighted_f1"), get_metric("accuracy")


@pytest.fixture
def twelve(simulator, meld_sizes):
    rng = np.random.default_rng(3)
    return simulator(rng, meld_sizes(rng, 12), offsets=(0.0, 0.1, 0.5))


def score(counts):
    return float(WF1.value(totals_of(counts.sum(axis=0))))


def test_swap_of_weighted_f1_equals_all_swaps_written_out(twelve):
    counts = [own[0] for own in twelve.counts()]
    result = compare_systems(twelve.counts(), WF1, test="swap", correction="none")
    assert result.n_resamples == 2**11
    for a, b in ((0, 1), (0, 2), (1, 2)):
        observed = abs(score(counts[a]) - score(counts[b]))
        null = []
        for pattern in product([False, True], repeat=12):
            swap = np.array(pattern)[:, None, None]
            one, other = np.where(swap, counts[b], counts[a]), np.where(swap, counts[a], counts[b])
            null.append(abs(score(one) - score(other)))
        assert result.p_value[a, b] == pytest.approx(np.mean(np.array(null) >= observed - 1e-6), abs=1e-12)


def test_swap_of_accuracy_equals_scipy_permutation_of_dialogues(twelve):
    result = compare_systems(twelve.counts(), ACCURACY, test="swap", correction="none")
    right = [np.bincount(twelve.dialogue, run[0] == twelve.gold) for run in twelve.predictions]
    oracle = stats.permutation_test(
        (right[0], right[2]),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert result.p_value[0, 2] == pytest.approx(oracle.pvalue, abs=1e-9)


def test_drawn_swaps_come_near_the_sign_flips_of_accuracy(meld_like):
    swap, flip = (
        compare_systems(meld_like.counts(), ACCURACY, test=test, correction="none") for test in ("swap", "sign-flip")
    )
    p = flip.p_value
    assert (np.abs(swap.p_value - p) <= 4 * np.sqrt(2 * p * (1 - p) / 10_000) + 1e-3).all()


def test_shifted_bootstrap_equals_a_plain_loop(meld_like):
    counts = [own[0] for own in meld_like.counts()]
    result = compare_systems(meld_like.counts(), WF1, test="shifted-bootstrap", correction="none", n_resamples=300)
    d = score(counts[2]) - score(counts[3])
    n_larger = 0
    for weights in np.concatenate(list(dialogue_draws(280, 300, 0))):
        a, b = (own * weights[:, None, None] for own in (counts[2], counts[3]))
        n_larger += abs(score(a) - score(b) - d) >= abs(d) - 1e-6
    assert result.p_value[2, 3] == pytest.approx((1 + n_larger) / 301)


def test_mcnemar_equals_statsmodels_and_the_sign_flip_on_single_utterances():
    rng = np.random.default_rng(8)
    gold = rng.integers(0, 3, 80)
    predictions = np.stack([np.where(rng.random(80) < skill, gold, (gold + 1) % 3) for skill in (0.5, 0.65, 0.9)])
    options = {"metric": "accuracy", "correction": "none"}
    result = compare_arrays(gold, np.arange(80), predictions[:, None], 3, test="mcnemar", **options)
    flip = compare_arrays(gold, np.arange(80), predictions[:, None], 3, n_resamples=20_000, **options)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        right = predictions[a] == gold, predictions[b] == gold
        table = [[(x & y).sum() for y in (right[1], ~right[1])] for x in (right[0], ~right[0])]
        p = mcnemar(table, exact=True).pvalue
        assert result.p_value[a, b] == pytest.approx(p, abs=1e-12)
        assert flip.p_value[a, b] == pytest.approx(p, abs=3 * np.sqrt(p * (1 - p) / 20_000) + 1e-4)


def test_mcnemar_is_refused_where_it_is_not_valid(meld_like):
    with pytest.raises(ConfigError, match="one utterance per dialogue: use test='sign-flip'"):
        compare_systems(meld_like.counts(), ACCURACY, test="mcnemar")
    gold = np.arange(30) % 3
    with pytest.raises(ConfigError, match="'mcnemar' with metric 'weighted_f1'"):
        compare_arrays(gold, np.arange(30), np.stack([gold, gold])[:, None], 3, test="mcnemar")


def test_crossed_bootstrap_has_the_variance_of_dialogues_and_seeds(seeded):
    counts = seeded.counts()
    panel = build_panel([counts[0], counts[1][:3], counts[2][:1]], WF1)
    replicates = crossed_scores(panel, n_resamples=20_000, seed=0)
    parts = compare_systems([counts[0], counts[1][:3]], WF1, scope="procedure")
    for system in (0, 1):
        # Owen 2007: dialogue and seed parts come out right, the interaction twice or more; so between these two.
        smallest = parts.se[system]
        largest = np.sqrt(parts.se_dialogue[system] ** 2 + 2 * parts.se_seed[system] ** 2)
        assert 0.97 * smallest < replicates[system].std() < 1.03 * largest
    only_dialogues = build_panel([counts[2][:1]], WF1).mean_influence[0]
    assert replicates[2].std() == pytest.approx(np.sqrt((only_dialogues**2).sum()), rel=0.04)
    assert replicates.mean(axis=1) == pytest.approx(panel.mean_score, abs=0.002)


def test_crossed_bootstrap_draws_one_seed_fewer_from_those_there_are(seeded):
    """With three seeds and two draws a replicate is the mean of two per-seed scores on the same dialogues."""
    counts = [own[:3] for own in seeded.counts()[:2]]
    ours = crossed_scores(build_panel(counts, WF1), n_resamples=6, seed=1)
    weights = np.concatenate(list(dialogue_draws(280, 6, 1)))
    for system, own in enumerate(counts):
        for b in range(6):
            per_seed = [score(run * weights[b][:, None, None]) for run in own]
            possible = [(x + y) / 2 for x in per_seed for y in per_seed]
            assert min(abs(ours[system, b] - value) for value in possible) < 1e-12


def test_seeds_are_drawn_evenly_and_alike_in_any_company(seeded):
    counts = seeded.counts()
    together = crossed_scores(build_panel(counts, WF1), n_resamples=300, seed=0)
    apart = crossed_scores(build_panel(counts[1:2], WF1), n_resamples=300, seed=0)
    assert (together[1] == apart[0]).all()
    shares = seed_weights(5, 4000, 0, 77)
    assert shares.sum(axis=0) == pytest.approx(1) and shares.mean(axis=1) == pytest.approx(0.2, abs=0.02)
    assert (seed_weights(5, 4000, 0, 78) != shares).any()


def test_one_label_only_is_no_trouble():
    gold = np.zeros(24, int)
    counts = [tally(np.arange(24) // 2, gold, gold, 12, 3)[None] for _ in range(2)]
    for test in ("sign-flip", "swap", "shifted-bootstrap", "bootstrap-t", "t"):
        result = compare_systems(counts, WF1, test=test, correction="none", n_resamples=99)
        assert result.p_value[0, 1] == 1 and result.score.tolist() == [1, 1]
