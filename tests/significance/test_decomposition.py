"""Variance components against statsmodels, procedure scope and tables with known components."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from harness.errors import ConfigError
from harness.metrics import get_metric
from harness.significance import compare_systems, decompose_variance
from harness.significance.decomposition import VarianceParts, crossed_components, mean_square

WF1 = get_metric("weighted_f1")


def table(rng, shape, components):
    """A crossed table with random effects of given variance per set of axes."""
    cells = np.zeros(shape)
    for axes, variance in components.items():
        cells = cells + rng.normal(0, np.sqrt(variance), [n if i in axes else 1 for i, n in enumerate(shape)])
    return cells


def test_mean_squares_equal_statsmodels():
    cells = np.random.default_rng(0).normal(size=(3, 4, 5))
    frame = pd.DataFrame([(*index, value) for index, value in np.ndenumerate(cells)], columns=["a", "b", "c", "y"])
    oracle = anova_lm(ols("y ~ C(a) * C(b) * C(c) - C(a):C(b):C(c)", frame).fit())["mean_sq"]
    for axes, name in (((0,), "C(a)"), ((1,), "C(b)"), ((0, 2), "C(a):C(c)"), ((0, 1, 2), "Residual")):
        assert mean_square(cells, axes) == pytest.approx(oracle[name], rel=1e-9)


def test_known_components_are_found_without_bias():
    """Seed, prompt and dialogue with their mixtures; reading them off variances of means alone is far out."""
    truth = {(0,): 0.3, (1,): 0.0, (2,): 2.0, (0, 1): 0.5, (0, 2): 1.0, (1, 2): 0.4, (0, 1, 2): 3.0}
    rng, found, naive = np.random.default_rng(1), dict.fromkeys(truth, 0.0), 0.0
    for _ in range(3000):
        cells = table(rng, (4, 3, 10), truth)
        for axes, value in crossed_components(cells).items():
            found[axes] += value / 3000
        naive += cells.mean(axis=(1, 2)).var(ddof=1) / 3000
    assert found == {axes: pytest.approx(value, abs=0.06) for axes, value in truth.items()}
    assert naive > 1.5 * truth[0,]


def test_the_standard_error_is_that_of_the_mean_of_many_tables():
    truth = {(0,): 0.3, (1,): 2.0, (0, 1): 4.0}
    rng, means, variances = np.random.default_rng(2), [], []
    parts = {(0,): ("seed",), (1,): ("dialogue",), (0, 1): ("seed", "dialogue")}
    for _ in range(4000):
        cells = table(rng, (5, 30), truth)
        means.append(cells.mean())
        found = {parts[axes]: value for axes, value in crossed_components(cells).items()}
        variances.append(VarianceParts({"seed": 5, "dialogue": 30}, found).se() ** 2)
    assert np.mean(variances) == pytest.approx(np.var(means), rel=0.08)
    exact = VarianceParts({"seed": 5, "dialogue": 30}, {parts[axes]: value for axes, value in truth.items()})
    assert exact.se() ** 2 == pytest.approx(0.3 / 5 + 2 / 30 + 4 / 150)
    assert exact.se({"seed": 10}) ** 2 == pytest.approx(0.3 / 10 + 2 / 30 + 4 / 300)
    assert exact.gain("seed") == pytest.approx((0.3 / 10 + 4 / 300) / (0.3 / 5 + 2 / 30 + 4 / 150))


def test_seeds_alone_give_the_parts_of_procedure_scope(seeded):
    counts = seeded.counts()[2]
    parts = decompose_variance(counts, WF1, ["seed"])
    result = compare_systems([counts], WF1, scope="procedure")
    seed, both = parts.components[("seed",)] / 5, parts.components[("seed", "dialogue")] / (5 * 280)
    assert seed == pytest.approx(result.se_seed[0] ** 2 - result.se_interaction[0] ** 2)
    assert both == pytest.approx(result.se_interaction[0] ** 2)
    assert parts.components[("dialogue",)] / 280 + both == pytest.approx(result.se_dialogue[0] ** 2)
    assert parts.se() == pytest.approx(result.se[0])


@pytest.mark.parametrize(("seed_shift", "variance", "first"), [(0.15, 0.01, "seed"), (0.0, 0.3, "dialogue")])
def test_more_seeds_or_more_dialogues_in_a_line(simulator, meld_sizes, seed_shift, variance, first):
    rng = np.random.default_rng(4)
    split = simulator(rng, meld_sizes(rng), dialogue_variance=variance, n_seeds=6, seed_shift=seed_shift)
    parts = decompose_variance(split.counts()[0], WF1, ["seed"])
    assert parts.advice.startswith(f"more {first}s: the standard error is {100 * parts.se():.2f} points, its square")
    assert "twice the 6 seeds" in parts.advice and "twice the 280 dialogues" in parts.advice
    assert parts.gain(first) > 0.25


def test_several_factors_at_once(simulator, meld_sizes):
    """Six runs read as two prompt wordings by three exemplar draws, the wordings made to differ."""
    rng = np.random.default_rng(5)
    split = simulator(rng, meld_sizes(rng), n_seeds=6)
    counts = split.counts()[0]
    worse = counts[3:].copy()
    right = np.arange(7)
    lost = worse[:, :, right, right] // 2
    worse[:, :, right, right] -= lost
    worse[:, :, right, 7] += lost
    parts = decompose_variance(np.stack([counts[:3], worse]), WF1, ["prompt wording", "exemplar draw"])
    assert parts.levels == {"prompt wording": 2, "exemplar draw": 3, "dialogue": 280} and len(parts.components) == 7
    assert parts.advice.startswith("more prompt wordings: ")
    assert parts.part("prompt wording") > 20 * parts.part("exemplar draw")


def test_no_variance_at_all(meld_like):
    counts = np.zeros((2, 12, 3, 4), int)
    counts[:, :, 0, 0] = 5
    parts = decompose_variance(counts, WF1, ["seed"])
    assert parts.se() == 0 and parts.gain("seed") == 0 and "error is 0.00 points" in parts.advice


@pytest.mark.parametrize(("factors", "n_runs"), [(["seed", "prompt"], 5), ([], 5), (["dialogue"], 5), (["seed"], 1)])
def test_names_and_axes_have_to_match(seeded, factors, n_runs):
    with pytest.raises(ConfigError, match=r"factors are \[.*\] and counts have shape"):
        decompose_variance(seeded.counts()[0][:n_runs], WF1, factors)
