"""Confusion counts against scikit-learn, and what bad input says."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from harness.errors import ConfigError
from harness.metrics import DialogueConfusion, tally, totals_of


def random_labels(rng, n=200, n_labels=4, n_dialogues=9):
    return rng.integers(0, n_dialogues, n), rng.integers(0, n_labels, n), rng.integers(-1, n_labels, n)


def test_each_dialogue_equals_scikit_learn_with_one_more_label_for_no_answer():
    dialogue, gold, predicted = random_labels(np.random.default_rng(0))
    counts = tally(dialogue, gold, predicted, 9, 4)
    assert counts.dtype == np.int64 and counts.shape == (9, 4, 5)
    shown = np.where(predicted < 0, 4, predicted)
    for g in range(9):
        own = dialogue == g
        assert (counts[g] == confusion_matrix(gold[own], shown[own], labels=range(5))[:4]).all()


@pytest.mark.parametrize("value", [-1, -7, 4, 99])
def test_any_value_outside_the_label_set_is_no_label(value):
    counts = tally(np.array([0]), np.array([2]), np.array([value]), 1, 4)
    assert counts[0, 2].tolist() == [0, 0, 0, 0, 1] and counts.sum() == 1


def test_a_dialogue_without_utterances_keeps_its_row():
    counts = tally(np.array([0, 2]), np.array([0, 1]), np.array([0, 0]), 3, 2)
    assert counts[1].sum() == 0 and counts.sum() == 2


def test_totals_by_hand():
    counts = np.array([[3, 1, 2], [0, 4, 1]])  # two labels, last column without an answer
    totals = totals_of(counts)
    assert totals.tp.tolist() == [3, 4]
    assert totals.pred.tolist() == [3, 5]
    assert totals.sup.tolist() == [6, 5]
    assert totals.den.tolist() == [9, 10] and totals.n_utterances == 11


def test_totals_of_the_sum_are_the_sum_of_totals():
    counts = tally(*random_labels(np.random.default_rng(1)), 9, 4)
    whole = totals_of(counts.sum(axis=0))
    summed = totals_of(counts).over_dialogues()
    for part in ("tp", "pred", "sup"):
        assert (getattr(whole, part) == getattr(summed, part)).all()


def test_a_confusion_whose_parts_disagree_is_refused():
    counts = np.zeros((2, 3, 4), np.int64)
    assert DialogueConfusion(("a", "b"), ("x", "y", "z"), counts).totals().n_utterances == 0
    with pytest.raises(ConfigError, match=r"\(2, 3, 4\).*\(2, 2, 3\)"):
        DialogueConfusion(("a", "b"), ("x", "y"), counts)


@pytest.mark.parametrize(
    ("dialogue", "gold", "predicted", "says"),
    [
        ([0, 1], [0, 1], [0], "predicted"),
        ([0, 1], [0.0, 1.0], [0, 1], "float64"),
        ([0, 3], [0, 1], [0, 1], r"dialogue_index\[1\] is 3; allowed: 0 to 1"),
        ([0, 1], [-1, 1], [0, 1], r"gold\[0\] is -1"),
        ([0, 1], [0, 2], [0, 1], r"gold\[1\] is 2"),
    ],
)
def test_bad_arrays_are_named(dialogue, gold, predicted, says):
    with pytest.raises(ConfigError, match=says):
        tally(np.array(dialogue), np.array(gold), np.array(predicted), 2, 2)
