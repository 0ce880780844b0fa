"""The joint bootstrap against scikit-learn on materialised resamples, and its streams."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.metrics import Totals, get_metric
from harness.significance.bootstrap import (
    CountMatrix,
    bootstrap_scores,
    count_matrix,
    dialogue_draws,
    piecewise_product,
)
from harness.significance.panel import build_panel


def drawn(n_dialogues, n_resamples, seed):
    return np.concatenate(list(dialogue_draws(n_dialogues, n_resamples, seed)))


def test_check_01_replicates_equal_scikit_learn_on_the_resampled_utterances(meld_like):
    weights = drawn(280, 100, 3)
    averages = {"accuracy": None, "weighted_f1": "weighted", "macro_f1": "macro"}
    for name, average in averages.items():
        metric = get_metric(name)
        ours = bootstrap_scores(build_panel(meld_like.counts(), metric).all_runs, metric, n_resamples=100, seed=3)
        assert ours.shape == (4, 100)
        for b in range(100):
            chosen = np.repeat(np.arange(meld_like.gold.size), weights[b][meld_like.dialogue])
            for m in range(4):
                gold, predicted = meld_like.gold[chosen], meld_like.predictions[m, 0][chosen]
                if average is None:
                    expected = accuracy_score(gold, predicted)
                else:
                    expected = f1_score(gold, predicted, average=average, zero_division=0)
                assert ours[m, b] == pytest.approx(expected, abs=1e-12)


def test_macro_f1_of_a_replicate_that_misses_a_label(simulator, meld_sizes):
    rng = np.random.default_rng(0)
    split = simulator(rng, meld_sizes(rng, 12))
    metric = get_metric("macro_f1")
    ours = bootstrap_scores(build_panel(split.counts(), metric).all_runs, metric, n_resamples=300, seed=0)
    weights = drawn(12, 300, 0)
    n_missing = 0
    for b in range(300):
        chosen = np.repeat(np.arange(split.gold.size), weights[b][split.dialogue])
        gold, predicted = split.gold[chosen], split.predictions[0, 0][chosen]
        n_missing += len(set(gold) | set(predicted)) < 7
        assert ours[0, b] == pytest.approx(f1_score(gold, predicted, average="macro", zero_division=0), abs=1e-12)
    assert n_missing > 3


def test_check_02_single_precision_sums_are_exact(meld_like):
    totals = build_panel(meld_like.counts(), get_metric("weighted_f1")).all_runs
    exact = count_matrix(totals)
    assert exact.matrix.dtype == np.float32
    double = CountMatrix(exact.matrix.astype(np.float64), exact.n_runs, exact.n_labels)
    for weights in dialogue_draws(280, 600, 0):
        for part in ("tp", "pred", "sup"):
            assert (getattr(exact.resampled(weights), part) == getattr(double.resampled(weights), part)).all()
    large = np.float64(100_003.0)  # beyond 2^24 single precision rounds, which `count_matrix` therefore does not use
    rounded = CountMatrix((exact.matrix * large).astype(np.float32), exact.n_runs, exact.n_labels).resampled(weights)
    assert (rounded.tp != double.resampled(weights).tp * large).any()


def test_counts_too_large_for_single_precision_use_double():
    def totals(n):
        return Totals(np.full((1, 20, 2), n), np.full((1, 20, 2), n), np.full((20, 2), n))

    assert count_matrix(totals(1e5)).matrix.dtype == np.float32  # 20 x 4e5 < 2^24
    assert count_matrix(totals(3e5)).matrix.dtype == np.float64  # 20 x 12e5 > 2^24
    assert count_matrix(totals(1.0), integer_weights=False).matrix.dtype == np.float64


def test_draws_are_multinomial_and_a_shorter_run_is_a_prefix():
    weights = drawn(50, 2000, 1)
    assert weights.shape == (2000, 50) and (weights.sum(axis=1) == 50).all()
    assert (drawn(50, 300, 1) == weights[:300]).all() and (drawn(50, 300, 2) != weights[:300]).any()
    assert np.abs(weights.mean(axis=0) - 1).max() < 5 * np.sqrt(0.98 / 2000)
    # Multinomial with equal shares: variance 1 - 1/G, covariance -1/G.
    assert weights.var(axis=0).mean() == pytest.approx(0.98, rel=0.03)
    assert np.cov(weights.T)[~np.eye(50, dtype=bool)].mean() == pytest.approx(-0.02, rel=0.05)


def test_replicates_of_a_system_do_not_depend_on_its_company(meld_like):
    metric = get_metric("weighted_f1")
    together = bootstrap_scores(build_panel(meld_like.counts(), metric).all_runs, metric, n_resamples=300, seed=0)
    alone = bootstrap_scores(build_panel(meld_like.counts()[2:3], metric).all_runs, metric, n_resamples=300, seed=0)
    assert (together[2] == alone[0]).all()


@pytest.mark.parametrize(("n_counts", "n_dialogues", "n_replicates"), [(1, 10, 1), (130, 280, 256), (7, 5000, 33)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_in_pieces_is_the_whole_product(n_counts, n_dialogues, n_replicates, dtype):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 30, (n_counts, n_dialogues))
    weights = rng.integers(0, 5, (n_replicates, n_dialogues))
    pieces = piecewise_product(counts.astype(dtype), weights.astype(dtype))
    assert pieces.dtype == dtype
    assert (pieces == counts @ weights.T).all()
