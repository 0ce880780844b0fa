"""Labels that are absent or unusable, in scores and in replicates, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.metrics import get_metric
from harness.significance import compare_arrays


def runs_with_gaps(rng):
    """Gold without label 4, answers without label 2 and with one in seven missing, over 20 dialogues."""
    gold = rng.choice([0, 1, 2, 3, 5], 300)
    answers = np.where(rng.random((2, 300)) < 0.6, gold, rng.integers(0, 6, (2, 300)))
    answers[answers == 2] = 1
    answers[rng.random((2, 300)) < 1 / 7] = -1
    return gold, np.arange(300) // 15, answers


@pytest.mark.parametrize("seed", range(5))
def test_check_03_unusable_answers_and_absent_labels_equal_scikit_learn(seed):
    gold, dialogue, answers = runs_with_gaps(np.random.default_rng(seed))

    def ours(name):
        return compare_arrays(gold, dialogue, answers[:, None], 6, metric=name, test="t").score

    for system, predicted in enumerate(answers):
        f1 = f1_score(gold, predicted, labels=range(6), average="weighted", zero_division=0)
        assert ours("weighted_f1")[system] == pytest.approx(f1, abs=1e-12)
        assert ours("accuracy")[system] == pytest.approx(accuracy_score(gold, predicted), abs=1e-12)
        usable = predicted >= 0
        left_out = f1_score(gold[usable], predicted[usable], labels=range(6), average="weighted", zero_division=0)
        assert abs(left_out - f1) > 0.02  # as if unusable answers had not been asked for


def test_check_03_macro_f1_leaves_absent_labels_out():
    gold, dialogue, answers = runs_with_gaps(np.random.default_rng(1))
    answers = np.where((answers == 4) | (answers == -1), 0, answers)  # label 4 now occurs nowhere
    ours = compare_arrays(gold, dialogue, answers[:, None], 6, metric="macro_f1", test="t").score
    for system, predicted in enumerate(answers):
        assert ours[system] == pytest.approx(f1_score(gold, predicted, average="macro", zero_division=0), abs=1e-12)
        fixed = f1_score(gold, predicted, labels=range(6), average="macro", zero_division=0)
        assert ours[system] - fixed > 0.05
    assert get_metric("macro_f1").title == "macro-F1"
