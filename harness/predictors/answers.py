"""What makes answers valid: the rules that the runner enforces and the conformance suite names one by one."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import PredictionError
from harness.schema import DialogueView, LabelSet, Prediction

Answers = Sequence[Sequence[Prediction]]
"""What a predictor returns for some views."""


def check_answers(views: Sequence[DialogueView], answers: Answers) -> None:
    """Checks that every target got exactly one prediction, in order, within the label set.

    Raises:
        PredictionError: it did not; the message names the dialogue or the utterance.
    """
    if not views:
        return
    labels = views[0].label_set
    fault = target_fault(views, answers) or label_fault(answers, labels) or score_fault(answers, labels)
    if fault is not None:
        raise PredictionError(fault)


def target_fault(views: Sequence[DialogueView], answers: Answers) -> str | None:
    """Returns where answers are not one prediction per target, in order, with the target's id; None if nowhere."""
    if len(answers) != len(views):
        return f"predict_batch returned {len(answers)} answers for {len(views)} views"
    for view, answer in zip(views, answers, strict=True):
        asked, got = [u.id for u in view.targets], [p.utterance_id for p in answer]
        if asked != got:
            return f"dialogue {view.dialogue_id!r}: expected one prediction per target in order, {asked}, got {got}"
    return None


def label_fault(answers: Answers, label_set: LabelSet) -> str | None:
    """Returns where a label is not in the set; None if nowhere."""
    for prediction in (p for answer in answers for p in answer):
        if prediction.label is not None and prediction.label not in label_set:
            return (
                f"utterance {prediction.utterance_id!r} is {prediction.label!r}, expected one of "
                f"{list(label_set.labels)}; an answer without a usable label has label None and status 'unparsed'"
            )
    return None


def score_fault(answers: Answers, label_set: LabelSet) -> str | None:
    """Returns where scores are not for exactly the labels of the set; None if nowhere."""
    for prediction in (p for answer in answers for p in answer):
        if prediction.scores is not None and set(prediction.scores) != set(label_set.labels):
            return (
                f"utterance {prediction.utterance_id!r} has scores for {list(prediction.scores)}, "
                f"expected every label of {list(label_set.labels)}"
            )
    return None
