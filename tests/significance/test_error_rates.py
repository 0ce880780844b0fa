"""Short simulations of error rates, each with a known-wrong variant that must leave the bound.

Bounds allow for about three Monte-Carlo standard errors; `slow` repeats them with more splits and tighter bounds.
"""

import numpy as np
import pytest
from scipy import stats

from harness.metrics import get_metric, totals_of
from harness.significance import compare_arrays, compare_systems

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
    rng = np.random.default_rng(5)
    found = [
        compare_systems(simulator(rng, meld_sizes(rng), offsets=(0, 0.25)).counts(), WF1, n_resamples=499).rejected[
            0, 1
        ]
        for _ in range(20)
    ]
    assert np.mean(found) >= 0.9


@pytest.mark.slow
def test_error_rates_at_length(simulator, meld_sizes, iemocap_sizes):
    """Acceptance figures: type-I .035 to .068 (2,000 splits of each shape) and .03 to .065 over seeds."""
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
