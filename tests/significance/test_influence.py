"""Influence values and standard errors against closed forms, the jackknife, the bootstrap and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm

from harness.metrics import Totals, get_metric, totals_of
from harness.significance.influence import (
    clustered_se,
    gradient_influence,
    influence_values,
    jackknife_influence,
    jackknife_se,
    leave_one_out,
)

LABELS = tuple("abcdefg")
NAMES = ("accuracy", "weighted_f1", "macro_f1", "micro_f1", "micro_f1_no_neutral", "f1:b", "f1:g")


def totals_and_metric(split, name, system=0):
    return totals_of(split.counts()[system][0]), get_metric(name, LABELS, "a")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("values", [gradient_influence, jackknife_influence, influence_values])
def test_check_08_influence_values_sum_to_zero(meld_like, name, values):
    totals, metric = totals_and_metric(meld_like, name)
    assert values(totals, metric).shape == (280,)
    assert values(totals, metric).sum() == pytest.approx(0, abs=1e-12)


def test_they_sum_to_zero_with_an_absent_label_and_missing_answers():
    counts = np.random.default_rng(0).integers(0, 4, (12, 7, 8))
    counts[:, 2] = counts[:, :, 2] = 0
    for name in NAMES:
        assert gradient_influence(totals_of(counts), get_metric(name, LABELS, "a")).sum() == pytest.approx(0, abs=1e-12)


def test_leaving_one_out_is_scoring_the_rest(meld_like):
    totals, metric = totals_and_metric(meld_like, "macro_f1")
    counts = meld_like.counts()[0][0]
    left = leave_one_out(totals, metric)
    for g in (0, 17, 279):
        assert left[g] == pytest.approx(float(metric.value(totals_of(np.delete(counts, g, 0).sum(axis=0)))), abs=1e-12)


def test_check_06_accuracy_se_equals_cluster_robust_least_squares(meld_like):
    totals, metric = totals_and_metric(meld_like, "accuracy")
    correct = (meld_like.predictions[0, 0] == meld_like.gold).astype(float)
    fit = sm.OLS(correct, np.ones_like(correct)).fit(cov_type="cluster", cov_kwds={"groups": meld_like.dialogue})
    assert float(clustered_se(influence_values(totals, metric))) == pytest.approx(fit.bse[0], abs=1e-12)
    assert correct.std(ddof=1) / np.sqrt(correct.size) < 0.95 * fit.bse[0]  # utterances as unit


@pytest.mark.parametrize("name", ["accuracy", "weighted_f1", "micro_f1_no_neutral"])
def test_influence_jackknife_and_bootstrap_agree(meld_like, name):
    totals, metric = totals_and_metric(meld_like, name)
    se = float(clustered_se(gradient_influence(totals, metric)))
    assert se == pytest.approx(float(jackknife_se(totals, metric)), rel=0.03)
    rng = np.random.default_rng(1)
    drawn = rng.multinomial(280, np.full(280, 1 / 280), 5000).astype(float)
    replicates = metric.value(Totals(drawn @ totals.tp, drawn @ totals.pred, drawn @ totals.sup))
    assert se == pytest.approx(replicates.std(ddof=1) * np.sqrt(280 / 279), rel=0.04)  # 4 Monte-Carlo SE


@pytest.mark.parametrize("name", ["macro_f1", "f1:f"])
def test_rare_labels_use_the_jackknife(meld_like, name):
    totals, metric = totals_and_metric(meld_like, name)
    left = leave_one_out(totals, metric)
    by_definition = np.sqrt(279 / 280 * ((left - left.mean()) ** 2).sum())
    assert float(clustered_se(influence_values(totals, metric))) == pytest.approx(by_definition, rel=1e-12)
    assert float(clustered_se(gradient_influence(totals, metric))) == pytest.approx(by_definition, rel=0.06)


def test_seeds_are_done_at_once(seeded):
    totals, metric = totals_of(seeded.counts()[0]), get_metric("weighted_f1")
    together = influence_values(totals, metric)
    assert together.shape == (5, 280)
    for seed in range(5):
        alone = influence_values(totals_of(seeded.counts()[0][seed]), metric)
        assert together[seed] == pytest.approx(alone, abs=1e-15)
