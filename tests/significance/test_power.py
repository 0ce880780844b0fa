"""Power arithmetic against simulation, its own inverse, and published planning figures."""

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.metrics import get_metric
from harness.significance import compare_systems
from harness.significance.power import dialogues_needed, planned_se, power_at, seeds_needed, smallest_detectable


def test_the_smallest_detectable_difference_is_found_as_often_as_promised():
    rng, se = np.random.default_rng(0), 0.01
    for q, power in ((1.96, 0.8), (3.2, 0.5)):
        gap = float(smallest_detectable(np.array(se), q, power))
        found = np.abs(rng.normal(gap, se, 100_000)) > q * se
        assert found.mean() == pytest.approx(power, abs=0.005)
        assert power_at(gap, np.array(se), q) == pytest.approx(power, abs=0.005)
    assert power_at(0.0, np.array([se, 2 * se])) == pytest.approx([0.05, 0.05])
    assert power_at(-gap, np.array(se)) == power_at(gap, np.array(se))


def test_dialogues_needed_is_the_first_number_that_suffices():
    gap, se, n = 0.01, 0.0094, 280
    needed = dialogues_needed(gap, se, n)
    assert smallest_detectable(np.array(se * np.sqrt(n / needed))) <= gap
    assert smallest_detectable(np.array(se * np.sqrt(n / (needed - 1)))) > gap
    assert dialogues_needed(-gap, se, n) == needed
    with pytest.raises(ConfigError, match="gap=0"):
        dialogues_needed(0.0, se, n)


def test_seeds_needed_by_hand():
    assert seeds_needed((0.0002, 0.0001), 0.001, share=0.1) == 3
    assert seeds_needed((0.00021, 0.0001), 0.001, share=0.1) == 4
    assert seeds_needed((-0.1, 0.0), 0.001) == 1
    with pytest.raises(ConfigError, match="must be above 0"):
        seeds_needed((0.1, 0.1), 0.0)


def test_planning_agrees_with_the_design_effect_of_clusters(simulator, meld_sizes):
    """On simulated splits the rule of thumb comes within a third of the standard error that is then observed."""
    rng = np.random.default_rng(1)
    split = simulator(rng, meld_sizes(rng), offsets=(0, 0.1), dialogue_variance=0.0141)
    differing = (split.predictions[0, 0] != split.predictions[1, 0]).mean()
    observed = compare_systems(split.counts(), get_metric("accuracy"), test="t").pair_se[0, 1]
    assert planned_se(split.gold.size, differing, 1.14) == pytest.approx(observed, rel=0.33)


def test_the_critical_value_is_where_max_t_starts_to_reject(meld_like):
    result = compare_systems(meld_like.counts(), get_metric("weighted_f1"))
    assert 1.96 < result.critical_value < 2.7  # a single pair, Bonferroni over six
    t = np.nan_to_num(np.abs(result.difference / np.where(result.pair_se > 0, result.pair_se, 1)))
    assert (result.rejected >= (t > result.critical_value + 0.02)).all()  # step-down rejects these and maybe more
    hardest = np.unravel_index(np.argmax(t), t.shape)
    for alpha in (0.2, 0.05, 0.01):
        again = compare_systems(meld_like.counts(), get_metric("weighted_f1"), alpha=alpha)
        if abs(t[hardest] - again.critical_value) > 0.05:
            assert again.rejected[hardest] == (t[hardest] > again.critical_value)


def test_critical_values_without_max_t(meld_like):
    def q(correction, n_systems=4):
        counts = meld_like.counts()[:n_systems]
        return compare_systems(counts, get_metric("accuracy"), test="t", correction=correction).critical_value

    assert q("none") == pytest.approx(1.95996, abs=1e-5)
    assert q("holm") == q("bonferroni") == pytest.approx(2.63826, abs=1e-5)  # normal quantile at 1 - .025/6
    assert np.isnan(q("holm", n_systems=1))
