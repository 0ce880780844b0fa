"""The verifier's own statistics against scipy, and against `harness.significance`, which was written apart from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.bundle.verifying.pair_tests import TESTS
from harness.bundle.verifying.panel import Panel
from harness.bundle.verifying.ranks import correct, letters, open_ranks
from harness.bundle.verifying.scores import find_metric
from harness.bundle.verifying.tails import beta_tail, sign_test, t_quantile, t_two_sided
from harness.metrics import get_metric
from harness.significance import compare_systems

LABELS = ("neutral", "joy", "anger")


@pytest.mark.parametrize("df", [1.0, 2.5, 9.0, 43.7, 279.0, 12345.6])
def test_tails_of_t_are_those_of_scipy(df: float) -> None:
    for t in (0.0, 1e-6, 0.3, 1.0, 2.0, 5.0, 12.0, 60.0):
        assert math.isclose(t_two_sided(t, df), 2 * stats.t.sf(t, df), rel_tol=1e-10, abs_tol=1e-300)
    for alpha in (0.5, 0.1, 0.05, 0.01, 1e-6):
        assert math.isclose(t_quantile(alpha, df), stats.t.isf(alpha / 2, df), rel_tol=1e-9)


def test_beta_and_binomial_tails_are_those_of_scipy() -> None:
    for a, b, x in ((0.5, 0.5, 0.2), (3.0, 7.5, 0.9), (100.0, 0.5, 0.999), (2.0, 2.0, 0.0), (2.0, 2.0, 1.0)):
        assert math.isclose(beta_tail(x, 1 - x, a, b), stats.beta.cdf(x, a, b), rel_tol=1e-10)
    for b, c in ((0, 0), (0, 5), (7, 3), (40, 61)):
        expected = 1.0 if b + c == 0 else stats.binomtest(min(b, c), b + c).pvalue
        assert math.isclose(sign_test(b, c), expected, rel_tol=1e-12)


def make_counts(n_systems: int, n_seeds: int, n_units: int, seed: int, size: int = 9) -> list[np.ndarray]:
    """Counts on one gold; a system is right more often the earlier it comes, and sometimes gives no label."""
    rng = np.random.default_rng(seed)
    gold = [rng.integers(0, 3, rng.integers(1, size + 1)) for _ in range(n_units)]
    systems = []
    for system in range(n_systems):
        counts = np.zeros((n_seeds, n_units, 3, 4), np.int64)
        for k in range(n_seeds):
            for unit, labels in enumerate(gold):
                for label in labels:
                    right = rng.random() < 0.75 - 0.08 * system
                    counts[k, unit, label, label if right else rng.integers(0, 4)] += 1
        systems.append(counts)
    return systems


CASES = [
    ("procedure", "satterthwaite", "holm", "weighted_f1", 40),
    ("procedure", "satterthwaite", "benjamini-hochberg", "macro_f1", 40),
    ("procedure", "satterthwaite", "none", "f1:joy", 40),
    ("procedure", "crossed-bootstrap", "bonferroni", "accuracy", 40),
    ("checkpoint", "t", "holm", "micro_f1_no_neutral", 40),
    ("checkpoint", "sign-flip", "max-t", "weighted_f1", 40),
    ("checkpoint", "sign-flip", "max-t", "macro_f1", 12),
    ("checkpoint", "sign-flip", "holm", "micro_f1", 40),
    ("checkpoint", "bootstrap-t", "max-t", "weighted_f1", 40),
    ("checkpoint", "swap", "holm", "weighted_f1", 40),
    ("checkpoint", "swap", "holm", "macro_f1", 12),
    ("checkpoint", "shifted-bootstrap", "benjamini-hochberg", "accuracy", 40),
    ("checkpoint", "mcnemar", "holm", "accuracy", 60),
]


@pytest.mark.parametrize(("scope", "test", "correction", "metric", "n_units"), CASES)
def test_every_test_gives_the_numbers_of_the_board(
    scope: str, test: str, correction: str, metric: str, n_units: int
) -> None:
    counts = make_counts(4, 4 if scope == "procedure" else 1, n_units, seed=5, size=1 if test == "mcnemar" else 9)
    options = {"alpha": 0.05, "n_resamples": 600, "seed": 7}
    theirs = compare_systems(
        counts, get_metric(metric, LABELS, "neutral"), scope=scope, test=test, correction=correction, **options
    )
    panel = Panel(counts, find_metric(metric, LABELS, "neutral"), [False] * 4, procedure=scope == "procedure")
    outcome = TESTS[test](panel, options["n_resamples"], options["seed"], options["alpha"])
    adjusted = outcome.step_down if correction == "max-t" else correct(outcome.p, correction)
    first, second = map(list, zip(*panel.pairs, strict=True))
    np.testing.assert_allclose(panel.scores, theirs.score, rtol=1e-12)
    np.testing.assert_allclose([panel.score(i).se for i in range(4)], theirs.se, rtol=1e-9)
    np.testing.assert_allclose(
        [panel.score(i).interval(0.05) for i in range(4)], np.stack([theirs.low, theirs.high], 1)
    )
    np.testing.assert_allclose(outcome.p, theirs.p_value[first, second], rtol=1e-9)
    np.testing.assert_allclose(adjusted, theirs.p_adjusted[first, second], rtol=1e-9)
    np.testing.assert_allclose([pair.se for pair in panel.differences], theirs.pair_se[first, second], rtol=1e-9)
    assert outcome.n_resamples == theirs.n_resamples
    if correction == "max-t":
        np.testing.assert_allclose(outcome.critical_value, theirs.critical_value, rtol=1e-9)
    ranks = open_ranks(panel.scores, theirs.rejected)
    assert ranks == list(zip(theirs.rank_low, theirs.rank_high, strict=True))
    assert letters(panel.scores, theirs.rejected) == list(theirs.letters)


def test_letters_are_shared_exactly_by_pairs_that_do_not_differ() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 9, 14):
        differ = np.triu(rng.random((n, n)) < 0.4, 1)
        differ |= differ.T
        marks = letters(rng.random(n), differ)
        apart = any(" " in mark for mark in marks)
        own = [set(mark.split() if apart else mark) for mark in marks]
        assert all(bool(own[a] & own[b]) != differ[a, b] for a in range(n) for b in range(n) if a != b)
