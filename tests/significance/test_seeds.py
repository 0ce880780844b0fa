"""Seed variance against its definition and a simulation of crossed effects."""

import numpy as np
import pytest

from harness.significance.seeds import no_seed_variance, seed_variance, total_variance


def test_by_definition_on_small_numbers():
    scores = (np.array([0.5, 0.6, 0.7]), np.array([0.4]))
    influences = (np.array([[0.1, -0.1], [0.2, -0.2], [0.0, 0.0]]), np.array([[0.05, -0.05]]))
    seeds = seed_variance(scores, influences)
    assert seeds.seed == pytest.approx([0.01 / 3, 0])
    # mean influence (.1, -.1): squared deviations 0, 2 x .01, 2 x .01; times G/(G-1) = 2, over (S-1) S = 6
    assert seeds.interaction == pytest.approx([2 * 0.04 / 6, 0])
    assert seeds.n_seeds.tolist() == [3, 1] and seeds.net.tolist() == [0, 0]
    variance, df = total_variance(np.array([0.02]), 2, seeds, np.array([[0, 1]]))
    assert variance == pytest.approx([0.02])
    assert df == pytest.approx([0.02**2 / (0.02**2 / 1 + (0.01 / 3) ** 2 / 2)])


def test_without_seeds_degrees_of_freedom_are_those_of_dialogues():
    variance, df = total_variance(np.array([0.3, 0.0]), 31, no_seed_variance(2), np.array([[0], [1]]))
    assert variance.tolist() == [0.3, 0.0] and df == pytest.approx([30, 30])


def test_estimates_the_variance_of_a_mean_over_crossed_seeds_and_dialogues():
    """Score of seed s = mean over g of x_g + y_sg, plus z_s; what the parts estimate is known, and adding V_seed in
    full would count the y part twice."""
    rng, n_seeds, n_dialogues = np.random.default_rng(0), 5, 60
    estimated, naive, means = [], [], []
    for _ in range(4000):
        x, y = rng.normal(0, 1, n_dialogues), rng.normal(0, 2, (n_seeds, n_dialogues))
        z = rng.normal(0, 0.3, n_seeds)
        cells = x + y
        scores = cells.mean(axis=1) + z
        influences = (cells - cells.mean(axis=1, keepdims=True)) / n_dialogues
        seeds = seed_variance((scores,), (influences,))
        dialogue = n_dialogues / (n_dialogues - 1) * (influences.mean(axis=0) ** 2).sum()
        estimated.append(dialogue + seeds.seed[0] - seeds.interaction[0])
        naive.append(dialogue + seeds.seed[0])
        means.append(scores.mean())
    truth = 1 / n_dialogues + 4 / (n_seeds * n_dialogues) + 0.09 / n_seeds
    assert np.var(means) == pytest.approx(truth, rel=0.1)
    assert np.mean(estimated) == pytest.approx(truth, rel=0.03)
    assert np.mean(naive) > 1.15 * truth
