"""Every metric against scikit-learn, and every gradient against finite differences."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.metrics import Totals, get_metric, per_label_f1, tally, totals_of

LABELS = ("neutral", "joy", "anger", "fear", "disgust")
NAMES = ("accuracy", "weighted_f1", "macro_f1", "micro_f1", "micro_f1_no_neutral", "f1:joy", "f1:fear")


def sample(kind, rng):
    """Gold and predicted of 120 utterances; `kind` says which labels go missing."""
    gold, predicted = rng.integers(0, 5, 120), rng.integers(0, 5, 120)
    if "answer" in kind:
        predicted[rng.random(120) < 0.2] = -1
    if "gold" in kind:
        gold[gold == 3] = 1
    if "predicted" in kind:
        predicted[predicted == 3] = 0
    return gold, predicted


KINDS = ("all", "no answer", "no gold", "no predicted", "no gold, no predicted", "no answer, no gold, no predicted")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(kind, seed):
    gold, predicted = sample(kind, np.random.default_rng(seed))
    totals = totals_of(tally(np.zeros(120, int), gold, predicted, 1, 5)[0])
    everything = {"labels": range(5), "zero_division": 0}
    # Without `labels` scikit-learn averages over what occurs; the code for no answer must not become a label.
    occurring = sorted((set(gold.tolist()) | set(predicted.tolist())) - {-1})
    expected = {
        "accuracy": accuracy_score(gold, predicted),
        "weighted_f1": f1_score(gold, predicted, average="weighted", **everything),
        "macro_f1": f1_score(gold, predicted, average="macro", labels=occurring, zero_division=0),
        "micro_f1": f1_score(gold, predicted, average="micro", **everything),
        "micro_f1_no_neutral": f1_score(gold, predicted, average="micro", labels=range(1, 5), zero_division=0),
        "f1:joy": f1_score(gold, predicted, average=None, **everything)[1],
        "f1:fear": f1_score(gold, predicted, average=None, **everything)[3],
    }
    for name, value in expected.items():
        assert get_metric(name, LABELS, "neutral").value(totals) == pytest.approx(value, abs=1e-12), name
    assert per_label_f1(totals) == pytest.approx(f1_score(gold, predicted, average=None, **everything), abs=1e-12)


def test_macro_f1_drops_an_absent_label_where_a_fixed_list_averages_a_zero_in():
    gold, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    totals = totals_of(tally(np.zeros(4, int), gold, predicted, 1, 3)[0])
    fixed = f1_score(gold, predicted, average="macro", labels=range(3), zero_division=0)
    assert get_metric("macro_f1").value(totals) == pytest.approx(fixed * 3 / 2)
    assert get_metric("macro_f1").value(totals) == pytest.approx(f1_score(gold, predicted, average="macro"))


def test_arguments_swapped_would_be_noticed():
    gold, predicted = np.array([0] * 90 + [1] * 10), np.array([0] * 50 + [1] * 50)
    value = get_metric("weighted_f1").value(totals_of(tally(np.zeros(100, int), gold, predicted, 1, 2)[0]))
    assert value == pytest.approx(f1_score(gold, predicted, average="weighted"))
    assert abs(value - f1_score(predicted, gold, average="weighted")) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_vectorised_over_leading_dimensions(name):
    metric, rng = get_metric(name, LABELS, "neutral"), np.random.default_rng(3)
    counts = rng.integers(0, 9, (4, 3, 5, 6))
    counts[:, 1, 3] = counts[:, 1, :, 3] = 0  # one label absent in some of them
    values = metric.value(totals_of(counts))
    assert values.shape == (4, 3) and values.dtype == np.float64
    for i in np.ndindex(4, 3):
        assert values[i] == metric.value(totals_of(counts[i]))


@pytest.mark.parametrize("name", NAMES)
def test_no_utterance_at_all_scores_zero_and_warns_of_nothing(name):
    assert get_metric(name, LABELS, "neutral").value(totals_of(np.zeros((5, 6), int))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_gradient_equals_finite_differences(name):
    metric, rng = get_metric(name, LABELS, "neutral"), np.random.default_rng(4)
    totals = totals_of(rng.integers(1, 30, (5, 6)))
    slopes, step = metric.gradient(totals), 1e-5

    def value(tp, den, sup):
        return float(metric.value(Totals(tp, den - sup, sup)))

    at = [totals.tp, totals.den, totals.sup]
    for axis, slope in enumerate(slopes):
        for label in range(5):
            ends = []
            for sign in (1, -1):
                moved = [part.copy() for part in at]
                moved[axis][label] += sign * step
                ends.append(value(*moved))
            assert slope[label] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_stays_finite_where_a_label_never_occurs(name):
    counts = np.random.default_rng(5).integers(1, 30, (5, 6))
    counts[3] = counts[:, 3] = 0
    assert np.isfinite(get_metric(name, LABELS, "neutral").gradient(totals_of(counts))).all()


def test_always_neutral_on_meld_scores_what_has_been_published():
    # Gold counts of MELD's test split (declare-lab/MELD); accuracy 48.12 and weighted F1 31.27 are the known floor.
    gold = np.repeat(np.arange(7), [1256, 402, 345, 281, 208, 68, 50])
    totals = totals_of(tally(np.zeros(2610, int), gold, np.zeros(2610, int), 1, 7)[0])
    assert round(100 * float(get_metric("accuracy").value(totals)), 2) == 48.12
    assert round(100 * float(get_metric("weighted_f1").value(totals)), 2) == 31.27
