"""Partial conjunction by hand, and its error rate where nothing is there to find."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.significance.replicability import count_wins, one_sided, partial_conjunction


def test_by_hand():
    assert partial_conjunction(np.array([0.04, 0.001, 0.3])) == pytest.approx([0.003, 0.08, 0.3])
    assert partial_conjunction(np.array([0.02, 0.02])) == pytest.approx([0.04, 0.04])  # monotone: not .02 at u = 2
    assert partial_conjunction(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


def test_one_sided():
    assert one_sided(np.array([0.04, 0.04, 1.0]), np.array([0.1, -0.1, 0.0])) == pytest.approx([0.02, 0.98, 0.5])


def comparison(p, d):
    return SimpleNamespace(p_adjusted=np.array([[1, p], [p, 1]]), difference=np.array([[0, d], [-d, 0]]))


def test_wins_need_one_direction():
    same = [comparison(0.001, 0.1), comparison(0.001, 0.2), comparison(0.6, 0.1)]
    assert count_wins(same).tolist() == [[0, 2], [0, 0]]
    opposed = [comparison(0.001, 0.1), comparison(0.001, -0.2)]
    assert count_wins(opposed).tolist() == [[0, 1], [1, 0]]
    untested = [comparison(0.001, 0.1), comparison(np.nan, 0.2)]
    assert count_wins(untested).tolist() == [[0, 1], [0, 0]]


def test_rarely_claims_two_datasets_when_one_is_real():
    rng = np.random.default_rng(0)
    p = np.stack([np.full(20_000, 1e-9), rng.random(20_000), rng.random(20_000)], axis=1)
    claimed = partial_conjunction(p) <= 0.05
    assert claimed[:, 0].all() and claimed[:, 1].mean() == pytest.approx(0.049, abs=0.005)  # 1 - (1 - .025)^2
    assert (np.sort(p, axis=1)[:, 1] <= 0.05).mean() > 0.09  # counting significant datasets would claim it too often
