"""Friedman and Nemenyi against scipy and published tables; refused where they can say nothing."""

import numpy as np
import pytest
from scipy import stats

from harness.errors import ConfigError
from harness.significance import friedman_nemenyi
from harness.significance.friedman import average_ranks, range_quantile


@pytest.mark.parametrize("n_decimals", [1, 8])
def test_p_and_ranks_equal_scipy_with_and_without_ties(n_decimals):
    scores = np.round(np.random.default_rng(0).random((5, 9)), n_decimals)
    result = friedman_nemenyi(scores)
    assert average_ranks(scores) == pytest.approx(stats.rankdata(-scores, axis=0))
    assert result.mean_rank == pytest.approx(stats.rankdata(-scores, axis=0).mean(axis=1))
    assert result.p_value == pytest.approx(stats.friedmanchisquare(*scores).pvalue, rel=1e-9)


# Demšar 2006 (JMLR 7), table 5a: critical values of the two-tailed Nemenyi test for 2 to 10 systems.
Q05 = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)
Q10 = (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920)


@pytest.mark.parametrize(("alpha", "table"), [(0.05, Q05), (0.1, Q10)])
def test_critical_values_equal_the_published_table(alpha, table):
    for n, q in enumerate(table, start=2):
        assert range_quantile(n, alpha) / np.sqrt(2) == pytest.approx(q, abs=1.1e-3)
    assert range_quantile(20, alpha) == pytest.approx(stats.studentized_range.ppf(1 - alpha, 20, np.inf), abs=1e-3)


def test_critical_difference_of_the_published_example():
    """Demšar 2006, section 3.2.2: four systems on 14 datasets, q = 2.569, critical difference 1.25."""
    ranks = np.random.default_rng(1).random((4, 14))
    assert friedman_nemenyi(ranks).critical_difference == pytest.approx(1.25, abs=0.005)


def test_pairs_are_told_apart_only_after_friedman():
    clear = np.arange(4.0)[:, None] + np.zeros(8)
    result = friedman_nemenyi(clear)
    assert result.mean_rank.tolist() == [4, 3, 2, 1] and result.p_value < 1e-4
    assert result.different[0, 3] and not result.different[0, 1] and not result.different[0, 0]
    assert not friedman_nemenyi(np.zeros((4, 8))).different.any()
    assert friedman_nemenyi(np.zeros((4, 8))).p_value == 1


@pytest.mark.parametrize(("n_datasets", "smallest"), [(2, "0.5"), (3, "0.25"), (4, "0.125"), (5, "0.0625")])
def test_few_datasets_are_refused_with_the_reason(n_datasets, smallest):
    x = np.arange(1.0, n_datasets + 1)
    assert stats.wilcoxon(x, method="exact").pvalue == pytest.approx(float(smallest))
    with pytest.raises(ConfigError, match=rf"can give is {smallest}; use compare_across .* or count_wins"):
        friedman_nemenyi(np.zeros((4, n_datasets)))


@pytest.mark.parametrize(
    ("scores", "alpha"), [(np.zeros((2, 8)), 0.05), (np.full((4, 8), np.nan), 0.05), (np.eye(8), 2)]
)
def test_other_bad_input_is_refused(scores, alpha):
    with pytest.raises(ConfigError, match="give 3 systems or more"):
        friedman_nemenyi(scores, alpha)
