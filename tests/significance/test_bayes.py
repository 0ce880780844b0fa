"""The Bayesian bootstrap against the normal approximation and its own definition."""

import numpy as np
import pytest
from scipy import stats

from harness.errors import ConfigError
from harness.metrics import Metric, get_metric, totals_of
from harness.significance import compare_systems, posterior
from harness.significance.bayes import exponential_weights

WF1 = get_metric("weighted_f1")


def test_near_the_normal_posterior(meld_like):
    result = posterior(meld_like.counts(), WF1, rope=0.01)
    closed = compare_systems(meld_like.counts(), WF1, test="t")
    d, se = closed.difference[2, 3], closed.pair_se[2, 3]
    assert result.better[2, 3] == pytest.approx(stats.norm.cdf(d / se), abs=0.03)
    assert result.equivalent[2, 3] == pytest.approx(
        stats.norm.cdf((0.01 - d) / se) - stats.norm.cdf((-0.01 - d) / se), abs=0.03
    )
    assert result.better + result.better.T == pytest.approx(np.ones((4, 4)))
    assert result.equivalent == pytest.approx(result.equivalent.T)


def test_equals_a_plain_loop(meld_like):
    counts = [own[0] for own in meld_like.counts()]
    wins = []
    for weights in np.concatenate(list(exponential_weights(280, 40, 0))):
        one, other = (float(WF1.value(totals_of((own * weights[:, None, None]).sum(axis=0)))) for own in counts[2:])
        wins.append(one > other)
    assert posterior(meld_like.counts(), WF1, n_resamples=40).better[2, 3] == pytest.approx(np.mean(wins))


def test_identical_systems_are_even_and_equivalent(meld_like):
    counts = meld_like.counts()
    result = posterior([counts[0], counts[0]], WF1, n_resamples=500)
    assert result.better.tolist() == [[0.5, 0.5], [0.5, 0.5]] and (result.equivalent == 1).all()


def test_where_lower_is_better_the_smaller_wins(meld_like):
    loss = Metric("loss", "loss", "Errors.", lambda t: 1 - WF1.value(t), higher_is_better=False)
    up, down = (posterior(meld_like.counts(), metric, n_resamples=300) for metric in (WF1, loss))
    assert up.better == pytest.approx(down.better)


def test_refusals(meld_like, seeded):
    with pytest.raises(ConfigError, match=r"rope=-1"):
        posterior(meld_like.counts(), WF1, rope=-1)
    with pytest.raises(ConfigError, match="rope=nan"):
        posterior(meld_like.counts(), WF1, rope=float("nan"))
    with pytest.raises(ConfigError, match="system 0 has 5 seeds"):
        posterior(seeded.counts(), WF1)
