"""What the conformance suite asks with: alterations that alter, and comparisons that compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.predictors import Predictor, PredictorCard, PredictorSpec
from harness.predictors.trial import Trial, compare_answers
from harness.schema import Prediction


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(PredictorSpec("lab/x", PredictorCard(family="simple", context="past"), Predictor), {}, tmp_path)


def test_the_dialogues_on_trial_are_too_many_for_chance_and_hold_every_kind_of_target(trial: Trial) -> None:
    dialogues = trial.dialogues()
    assert sum(len(d.labelled()) for d in dialogues) >= 50
    assert any(u.label is None for d in dialogues for u in d.utterances)


def test_what_is_not_kept_has_other_words_and_another_speaker(trial: Trial) -> None:
    def keep(i: int, n: int) -> bool:
        return i % 3 == 0

    for before, after in zip(trial.dialogues(), trial.altered(keep), strict=True):
        for i, (old, new) in enumerate(zip(before.utterances, after.utterances, strict=True)):
            assert (new.id, new.label) == (old.id, old.label)
            assert (new == old) == keep(i, 0)
            assert (new.text == old.text) == (new.speakers == old.speakers) == keep(i, 0)


def test_kept_names_the_targets_that_stay(trial: Trial) -> None:
    assert trial.kept(lambda i, n: True) == [u.id for d in trial.dialogues() for u in d.utterances if u.label]
    assert trial.kept(lambda i, n: i == 0) == [d.utterances[0].id for d in trial.dialogues()]
    assert trial.kept(lambda i, n: i == n) == []


def test_other_gold_changes_labels_only(trial: Trial) -> None:
    others = dict.fromkeys(trial.gold, "joy")
    assert {u.label for d in trial.dialogues(others) for u in d.utterances} == {"joy", None}
    assert trial.views(trial.dialogues(others)) == trial.views(trial.dialogues())


HALF = {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (Prediction("u", "a", HALF), None),
        (Prediction("u", "a", {"b": 0.50005, "a": 0.49995}), None),
        (Prediction("u", "a", {"a": 0.51, "b": 0.49}), "the score of 'a' is 0.5, then 0.51"),
        (Prediction("u", "a", {"b": 1.0}), "the score of 'a' is 0.5, then None"),
        (Prediction("u", "a"), "has scores in one case only"),
        (Prediction("u", "b", HALF), "is 'a', then 'b'"),
        (Prediction("u", None, HALF, "refused"), "is 'a', then 'refused'"),
        (Prediction("v", "a", HALF), "has one prediction and then none"),
    ],
)
def test_the_first_difference_is_told(other: Prediction, difference: str | None) -> None:
    found = compare_answers([[Prediction("u", "a", HALF)]], [[other]])
    assert found is None if difference is None else difference in str(found)


def test_order_and_grouping_of_answers_are_no_difference_and_only_the_ids_asked_for_count() -> None:
    first, second, third = (Prediction(name, "a") for name in "uvw")
    assert compare_answers([[first, second]], [[second], [first]]) is None
    assert compare_answers([[first], [second]], [[first], [Prediction("v", "b")]], ["u"]) is None
    assert compare_answers([[first]], [[third]], ["u"]) is not None
