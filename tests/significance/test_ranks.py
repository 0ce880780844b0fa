"""Letters and rank sets on random matrices, non-transitive ones included."""

from itertools import combinations

import numpy as np
import pytest

from harness.significance.ranks import letter, letters, maximal_cliques, rank_sets


def random_rejections(rng, n):
    upper = np.triu(rng.random((n, n)) < rng.random(), 1)
    return upper | upper.T


@pytest.mark.parametrize("block", range(3))
def test_check_15_two_systems_share_a_letter_exactly_when_not_rejected(block):
    rng = np.random.default_rng(block)
    for _ in range(100):
        n = int(rng.integers(1, 12))
        rejected, scores = random_rejections(rng, n), rng.random(n)
        marks = [set(mark.split() if " " in mark else mark) for mark in letters(scores, rejected)]
        assert all(marks)
        for i, j in combinations(range(n), 2):
            assert bool(marks[i] & marks[j]) == (not rejected[i, j])


def test_cliques_equal_brute_force():
    rng = np.random.default_rng(4)
    for _ in range(30):
        adjacent = ~random_rejections(rng, 7)
        cliques = [
            set(group)
            for size in range(1, 8)
            for group in combinations(range(7), size)
            if all(adjacent[i, j] for i, j in combinations(group, 2))
        ]
        maximal = {frozenset(clique) for clique in cliques if not any(clique < other for other in cliques)}
        found = [frozenset(clique) for clique in maximal_cliques(adjacent)]
        assert len(found) == len(maximal) and set(found) == maximal


def test_a_chain_of_ties_is_not_a_tier():
    scores, rejected = np.array([0.5, 0.6, 0.7]), np.zeros((3, 3), bool)
    rejected[0, 2] = rejected[2, 0] = True  # best beats worst, the middle is tied with both
    assert letters(scores, rejected) == ("b", "ab", "a")
    low, high = rank_sets(scores, rejected)
    assert low.tolist() == [2, 1, 1] and high.tolist() == [3, 3, 2]


def test_letters_start_with_the_best():
    scores = np.array([0.1, 0.9, 0.5])
    assert letters(scores, ~np.eye(3, dtype=bool)) == ("c", "a", "b")
    assert letters(scores, np.zeros((3, 3), bool)) == ("a", "a", "a")


def test_beyond_z():
    assert [letter(i) for i in (0, 25, 26, 27, 51, 52, 701, 702)] == ["a", "z", "aa", "ab", "az", "ba", "zz", "aaa"]
    marks = letters(np.arange(30.0), ~np.eye(30, dtype=bool))
    assert len(set(marks)) == 30 and marks[29] == "a" and marks[0] == "ad"


def test_rank_sets_by_counting():
    rng = np.random.default_rng(5)
    for _ in range(50):
        scores, rejected = rng.random(6), random_rejections(rng, 6)
        low, high = rank_sets(scores, rejected)
        for i in range(6):
            assert low[i] == 1 + sum(rejected[i, j] and scores[j] > scores[i] for j in range(6))
            assert high[i] == 6 - sum(rejected[i, j] and scores[j] < scores[i] for j in range(6))
