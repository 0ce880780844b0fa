"""Short simulations of error rates, each with a known-wrong variant that must leave the bound.

Bounds allow for about three Monte-Carlo standard errors; `slow` repeats them with more splits and tighter bounds.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from harness.metrics import get_metric, totals_of
from harness.significance import compare_arrays, compare_systems
from harness.significance.pair_tests import random_signs
from harness.significance.panel import build_panel

WF1 = get_metric("weighted_f1")


def rejection_rates(simulate, sizes, n_splits, variance, seed):
    """Shares of equal pairs told apart at .05: dialogues as unit, utterances as unit."""
    rng, found = np.random.default_rng(seed), np.zeros(2)
    for _ in range(n_splits):
        split = simulate(rng, sizes(rng), dialogue_variance=variance)
        every_utterance_alone = np.arange(split.gold.size)
        found += [
            compare_arrays(split.gold, split.dialogue, split.predictions, 7, n_resamples=499).rejected[0, 1],
            compare_arrays(split.gold, every_utterance_alone, split.predictions, 7, test="t").rejected[0, 1],
        ]
    return found / n_splits


def test_type_one_error_on_meld_shape(simulator, meld_sizes):
    by_dialogue, by_utterance = rejection_rates(simulator, meld_sizes, 200, 0.3079, seed=1)
    assert by_dialogue < 0.1
    assert by_utterance > 0.15


def test_type_one_error_on_iemocap_shape(simulator, iemocap_sizes):
    by_dialogue, by_utterance = rejection_rates(simulator, iemocap_sizes, 200, 0.3079, seed=2)
    assert by_dialogue < 0.1
    assert by_utterance > 0.45


def procedure_rates(simulate, sizes, n_splits, seed):
    """Shares of equal procedures told apart at .05: our test, Welch's t over seeds."""
    rng, found = np.random.default_rng(seed), np.zeros(2)
    for _ in range(n_splits):
        split = simulate(rng, sizes(rng), dialogue_variance=0.0141, n_seeds=5, seed_shift=0.02)
        counts = split.counts()
        found[0] += compare_systems(counts, WF1, scope="procedure").rejected[0, 1]
        a, b = (WF1.value(totals_of(own.sum(axis=1))) for own in counts)
        found[1] += stats.ttest_ind(a, b, equal_var=False).pvalue <= 0.05
    return found / n_splits


def test_type_one_error_over_seeds(simulator, meld_sizes):
    ours, over_seeds = procedure_rates(simulator, meld_sizes, 200, seed=3)
    assert ours < 0.1
    assert over_seeds > 0.2


def family_error(simulate, sizes, n_splits, correction, seed):
    rng, found = np.random.default_rng(seed), 0
    for _ in range(n_splits):
        split = simulate(rng, sizes(rng), offsets=np.zeros(6))
        found += compare_systems(split.counts(), WF1, correction=correction, n_resamples=499).rejected.any()
    return found / n_splits


def test_family_wise_error_with_few_dialogues(simulator, iemocap_sizes):
    assert family_error(simulator, iemocap_sizes, 200, "max-t", seed=4) < 0.11
    assert family_error(simulator, iemocap_sizes, 200, "none", seed=4) > 0.25


def test_a_clear_gap_is_found(simulator, meld_sizes):
    rng, found = np.random.default_rng(5), []
    for _ in range(20):
        split = simulator(rng, meld_sizes(rng), offsets=(0, 0.25))
        found.append(compare_systems(split.counts(), WF1, n_resamples=499).rejected[0, 1])
    assert np.mean(found) >= 0.9


def test_a_small_gain_inside_a_family_is_found_beside_unlike_systems(simulator, meld_sizes):
    """Unstudentised max-T measures every pair by the noisiest one and must miss it."""
    rng = np.random.default_rng(6)
    split = simulator(rng, meld_sizes(rng), offsets=np.zeros(6))
    better = split.predictions[0, 0].copy()
    wrong = rng.permutation(np.flatnonzero(better != split.gold))[:45]
    better[wrong] = split.gold[wrong]
    runs = np.concatenate([split.predictions, better[None, None]])
    counts = replace(split, predictions=runs).counts()
    result = compare_systems(counts, WF1, n_resamples=1999)
    assert result.difference[6, 0] < 0.025 and result.p_adjusted[6, 0] < 0.001
    rows = build_panel(counts, WF1).contributions
    first, second = np.triu_indices(7, 1)
    null = np.concatenate(
        [np.abs((rows[first] - rows[second]) @ signs) for signs in random_signs(280, 1999, 0)], axis=1
    )
    assert (null.max(axis=0) >= result.difference[6, 0]).mean() > 0.05


def coverages(simulate, sizes, n_splits, seed):
    """Shares of default intervals that hold the truth: of a score, of a difference, all rank sets at once."""
    rng = np.random.default_rng(seed)
    offsets = np.array([0, 0, 0, -0.1, -0.2, -0.4])
    population = [simulate(rng, np.tile(sizes(rng), 40), offsets=offsets).counts() for _ in range(10)]
    truth = np.mean([[WF1.value(totals_of(own[0].sum(axis=0))) for own in counts] for counts in population], axis=0)
    found = np.zeros(3)
    for _ in range(n_splits):
        result = compare_systems(simulate(rng, sizes(rng), offsets=offsets).counts(), WF1, n_resamples=999)
        ranks = zip(result.rank_low, result.rank_high, (1, 1, 1, 4, 5, 6), (3, 3, 3, 4, 5, 6), strict=True)
        found += [
            result.low[0] <= truth[0] <= result.high[0],
            result.pair_low[0, 1] <= 0 <= result.pair_high[0, 1],
            all(low <= best and worst <= high for low, high, best, worst in ranks),
        ]
    return found / n_splits


@pytest.mark.slow
def test_error_rates_at_length(simulator, meld_sizes, iemocap_sizes):
    """Acceptance figures: type-I error .035 to .068, over seeds .03 to .065, coverage .935 to .967, ranks .93."""
    for sizes, variance, wrong in (
        (meld_sizes, 0.0535, 0.1),
        (iemocap_sizes, 0.0535, 0.25),
        (iemocap_sizes, 0.3079, 0.5),
    ):
        by_dialogue, by_utterance = rejection_rates(simulator, sizes, 2000, variance, seed=6)
        assert 0.035 <= by_dialogue <= 0.068 and by_utterance > wrong
    ours, over_seeds = procedure_rates(simulator, meld_sizes, 2000, seed=7)
    assert 0.03 <= ours <= 0.065 and over_seeds > 0.3
    assert family_error(simulator, iemocap_sizes, 1000, "max-t", seed=8) <= 0.07
    for sizes in (meld_sizes, iemocap_sizes):
        of_score, of_difference, of_ranks = coverages(simulator, sizes, 2000, seed=9)
        assert 0.935 <= of_score <= 0.967 and 0.935 <= of_difference <= 0.967 and of_ranks >= 0.93
