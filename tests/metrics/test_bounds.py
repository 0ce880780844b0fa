"""Bounds against scikit-learn on relabelled predictions, and against every way to fill in."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.errors import ConfigError
from harness.metrics import get_metric, tally, totals_of
from harness.metrics.bounds import Bounds, bound_metric

LABELS = ("neutral", "joy", "anger", "fear")
NAMES = ("weighted_f1", "macro_f1", "accuracy", "micro_f1", "micro_f1_no_neutral", "f1:joy")


def reference(name, gold, predicted):
    """scikit-learn's value; -1 is no label, and must not become one."""
    occurring = sorted((set(gold.tolist()) | set(predicted.tolist())) - {-1})
    averages = {
        "weighted_f1": ("weighted", range(4)), "macro_f1": ("macro", occurring), "micro_f1": ("micro", range(4)),
        "micro_f1_no_neutral": ("micro", range(1, 4)), "f1:joy": ("macro", [1]),
    }  # fmt: skip
    if name == "accuracy":
        return accuracy_score(gold, predicted)
    average, labels = averages[name]
    return f1_score(gold, predicted, average=average, labels=labels, zero_division=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_scikit_learn_on_relabelled_predictions(name, seed):
    rng = np.random.default_rng(seed)
    gold, predicted, dialogue = rng.integers(0, 4, 80), rng.integers(0, 4, 80), rng.integers(0, 9, 80)
    if seed == 1:
        gold[gold == 3] = 0
    predicted[rng.random(80) < 0.3] = -1
    missing = predicted < 0
    counts = tally(dialogue, gold, predicted, 9, 4)
    metric = get_metric(name, LABELS, "neutral")
    expected = Bounds(
        right=reference(name, gold, np.where(missing, gold, predicted)),
        wrong=reference(name, gold, predicted),
        neutral=reference(name, gold, np.where(missing, 0, predicted)),
    )
    for given in (counts, counts.sum(axis=0)):
        found = bound_metric(given, metric, neutral=0)
        for field in ("right", "wrong", "neutral"):
            assert getattr(found, field) == pytest.approx(getattr(expected, field), abs=1e-12)
    assert bound_metric(counts, metric).neutral is None


@pytest.mark.parametrize("name", NAMES)
def test_right_is_the_highest_of_all_ways_to_fill_in_and_wrong_the_highest_of_the_wrong_ones(name):
    rng = np.random.default_rng(7)
    metric = get_metric(name, LABELS, "neutral")
    below_scored = False
    for trial in range(25):
        gold = rng.integers(0, 4 if trial % 2 else 3, 9)
        predicted = rng.integers(0, 4 if trial % 3 else 2, 9)
        missing = rng.choice(9, 4, replace=False)
        predicted[missing] = -1

        ways = np.array(list(product(range(4), repeat=4)))
        counts = np.stack([_counts(gold, _filled(predicted, missing, way)) for way in ways])
        values = metric.value(totals_of(counts))
        found = bound_metric(_counts(gold, predicted), metric, neutral=0)
        assert found.right == pytest.approx(values.max(), abs=1e-12)
        assert found.right == values[(ways == gold[missing]).all(axis=1)][0]
        assert found.neutral == values[0]
        all_wrong = values[(ways != gold[missing]).all(axis=1)]
        assert all_wrong.max() <= found.wrong + 1e-12
        below_scored |= bool(all_wrong.min() < found.wrong - 1e-12)
    assert below_scored == (name != "accuracy")


def _filled(predicted, missing, way):
    filled = predicted.copy()
    filled[missing] = way
    return filled


def _counts(gold, predicted):
    return tally(np.zeros(len(gold), int), gold, predicted, 1, 4)[0]


def test_the_three_agree_where_nothing_is_missing():
    counts = _counts(np.array([0, 1, 2, 3, 0]), np.array([0, 1, 1, 3, 2]))
    found = bound_metric(counts, get_metric("weighted_f1"), neutral=0)
    assert found.right == found.wrong == found.neutral


def test_counts_are_left_as_they_were():
    counts = _counts(np.array([0, 1, 2]), np.array([0, -1, -1]))
    before = counts.copy()
    bound_metric(counts, get_metric("accuracy"), neutral=0)
    assert (counts == before).all()


def test_other_shapes_and_labels_are_refused():
    metric = get_metric("accuracy")
    with pytest.raises(ConfigError, match=r"shape \(3, 3\)"):
        bound_metric(np.zeros((3, 3), np.int64), metric)
    with pytest.raises(ConfigError, match="neutral is 3"):
        bound_metric(np.zeros((3, 4), np.int64), metric, neutral=3)
