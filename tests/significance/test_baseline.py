"""The family of pairs with a baseline: fewer tests, smaller corrections, and no ranks."""

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.metrics import get_metric
from harness.significance import compare_arrays, compare_systems
from harness.significance.corrections import holm

WF1 = get_metric("weighted_f1")


@pytest.mark.parametrize("options", [{}, {"test": "t"}, {"test": "bootstrap-t"}, {"test": "swap"}])
def test_raw_p_is_that_of_all_pairs_and_the_correction_is_smaller(simulator, meld_sizes, options):
    rng = np.random.default_rng(1)
    counts = simulator(rng, meld_sizes(rng), offsets=(0, 0.05, 0.1, 0.08)).counts()
    everyone = compare_systems(counts, WF1, n_resamples=1999, **options)
    result = compare_systems(counts, WF1, n_resamples=1999, baseline=1, **options)
    others = [0, 2, 3]
    for name in ("p_value", "difference", "pair_se", "pair_low", "pair_high"):
        assert (getattr(result, name)[1] == getattr(everyone, name)[1]).all(), name
        assert (getattr(result, name)[:, 1] == getattr(everyone, name)[:, 1]).all(), name
    adjusted = result.p_adjusted[others, 1]
    assert (adjusted <= everyone.p_adjusted[others, 1]).all() and (adjusted < everyone.p_adjusted[others, 1]).any()
    assert (adjusted >= result.p_value[others, 1]).all() and result.critical_value < everyone.critical_value
    if result.correction == "holm":
        assert adjusted == pytest.approx(holm(result.p_value[others, 1]))


def test_pairs_without_it_are_not_tested_and_nobody_is_ranked(meld_like):
    result = compare_systems(meld_like.counts(), WF1, n_resamples=999, baseline=0)
    assert result.baseline == 0 and np.isnan(result.p_value[1, 2]) and np.isnan(result.pair_low[2, 3])
    assert not result.rejected[1:, 1:].any() and result.rejected[3, 0] and result.rejected[0, 3]
    assert set(result.rank_low) == {None} and set(result.letters) == {""} and not any(result.top)
    assert np.isfinite(result.low).all() and result.tested == (True,) * 4


def test_the_order_of_the_others_does_not_matter(meld_like):
    counts = meld_like.counts()
    one = compare_systems(counts, WF1, n_resamples=999, baseline=1)
    two = compare_systems([counts[i] for i in (3, 2, 1, 0)], WF1, n_resamples=999, baseline=2)
    assert (one.p_adjusted[1] == two.p_adjusted[2, ::-1]).all()


def test_over_seeds_and_from_arrays(seeded):
    counts = seeded.counts()
    result = compare_systems(counts, WF1, scope="procedure", baseline=2)
    arrays = compare_arrays(seeded.gold, seeded.dialogue, seeded.predictions, 7, scope="procedure", baseline=2)
    assert (result.p_adjusted[2] == arrays.p_adjusted[2]).all()
    assert result.p_adjusted[:2, 2] == pytest.approx(holm(result.p_value[:2, 2]))


def test_a_baseline_that_cannot_be_tested_is_refused(seeded):
    counts = seeded.counts()
    for baseline in (3, -1):
        with pytest.raises(ConfigError, match=f"baseline is {baseline}; give the index of a tested system: 0, 1, 2"):
            compare_systems(counts, WF1, scope="procedure", baseline=baseline)
    counts[1] = counts[1][:2]
    with pytest.raises(ConfigError, match="baseline is 1; give the index of a tested system: 0, 2"):
        compare_systems(counts, WF1, scope="procedure", baseline=1)
