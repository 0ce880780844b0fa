"""Calibration scores against scikit-learn and a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from harness.errors import ConfigError
from harness.metrics import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    tally_calibration,
)


def sample(rng, n=300, n_labels=5, n_dialogues=12):
    logits = rng.normal(0, 2, (n, n_labels))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return rng.integers(0, n_dialogues, n), rng.integers(0, n_labels, n), p


def plain_ece(gold, p, n_bins=15):
    """Expected calibration error with explicit bins, written without the sums under test."""
    total = 0.0
    for k in range(n_bins):
        inside = [i for i in range(len(p)) if k / n_bins < max(p[i]) <= (k + 1) / n_bins]
        if inside:
            accuracy = sum(int(np.argmax(p[i])) == gold[i] for i in inside) / len(inside)
            confidence = sum(max(p[i]) for i in inside) / len(inside)
            total += len(inside) / len(p) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_scikit_learn_and_to_a_plain_loop(seed):
    dialogue, gold, p = sample(np.random.default_rng(seed))
    sums = tally_calibration(dialogue, gold, p, 12).over_dialogues()
    assert sums.n_scored == 300 and sums.n_unscored == 0
    assert negative_log_likelihood(sums) == pytest.approx(log_loss(gold, p, labels=range(5)), abs=1e-12)
    one_against_rest = [brier_score_loss(gold == k, p[:, k]) for k in range(5)]  # of two classes in every release
    assert brier_score(sums) == pytest.approx(sum(one_against_rest), abs=1e-12)
    assert expected_calibration_error(sums) == pytest.approx(plain_ece(gold, p), abs=1e-12)


def test_sums_of_dialogues_add_up():
    dialogue, gold, p = sample(np.random.default_rng(5))
    by_dialogue = tally_calibration(dialogue, gold, p, 12)
    one = dialogue == 3
    alone = tally_calibration(np.zeros(one.sum(), int), gold[one], p[one], 1).over_dialogues()
    assert by_dialogue.log_loss.shape == (12,) and by_dialogue.bin_count.shape == (12, 15)
    assert by_dialogue.log_loss[3] == pytest.approx(float(alone.log_loss))
    assert brier_score(by_dialogue)[3] == pytest.approx(float(brier_score(alone)))


def test_bins_are_closed_on_the_right_and_opposite_gaps_do_not_cancel():
    confidence = np.array([0.6, 0.6000001, 0.93, 0.94, 1.0])  # 0.6 = 9/15 and 14/15 = 0.9333 are edges
    gold = np.array([0, 0, 0, 1, 1])
    p = np.stack([confidence, 1 - confidence], axis=1)
    sums = tally_calibration(np.zeros(5, int), gold, p, 1).over_dialogues()
    assert np.flatnonzero(sums.bin_count).tolist() == [8, 9, 13, 14]
    assert sums.bin_count[[8, 9, 13, 14]].tolist() == [1, 1, 1, 2]
    assert expected_calibration_error(sums) == pytest.approx((0.4 + 0.4 + 0.07 + 1.94) / 5, abs=1e-6)


def test_utterances_without_scores_are_left_out_and_counted():
    dialogue, gold, p = sample(np.random.default_rng(6))
    holed = p.copy()
    holed[::3] = np.nan
    kept = np.ones(300, bool)
    kept[::3] = False
    sums = tally_calibration(dialogue, gold, holed, 12).over_dialogues()
    assert sums.n_scored == 200 and sums.n_unscored == 100
    assert negative_log_likelihood(sums) == pytest.approx(log_loss(gold[kept], p[kept], labels=range(5)), abs=1e-12)
    assert expected_calibration_error(sums) == pytest.approx(plain_ece(gold[kept], p[kept]), abs=1e-12)


def test_a_sure_error_costs_the_logarithm_of_the_floor():
    sums = tally_calibration(np.array([0]), np.array([1]), np.array([[1.0, 0.0]]), 1).over_dialogues()
    assert negative_log_likelihood(sums) == pytest.approx(27.631, abs=1e-3)  # -ln(1e-12)
    assert brier_score(sums) == 2 and expected_calibration_error(sums) == 1


def test_no_scores_at_all_give_nan_without_a_warning():
    sums = tally_calibration(np.array([0]), np.array([1]), np.full((1, 2), np.nan), 1).over_dialogues()
    assert np.isnan([brier_score(sums), negative_log_likelihood(sums), expected_calibration_error(sums)]).all()


@pytest.mark.parametrize("row", [[0.5, 0.6], [1.5, -0.5], [60.0, 40.0]])
def test_rows_that_are_no_distribution_are_named(row):
    with pytest.raises(ConfigError, match=r"probabilities\[1\] sum to"):
        tally_calibration(np.array([0, 0]), np.array([0, 1]), np.array([[0.5, 0.5], row]), 1)


def test_shapes_must_agree():
    with pytest.raises(ConfigError, match="n_utterances, n_labels"):
        tally_calibration(np.array([0]), np.array([0, 1]), np.full((2, 2), 0.5), 1)
