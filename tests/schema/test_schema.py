"""Records refuse contradictions, and views hold neither gold nor forbidden context."""

from __future__ import annotations

import dataclasses

import pytest

from harness.errors import ConfigError, PredictionError, UnknownNameError
from harness.schema import Dialogue, LabelSet, Prediction, Utterance, UtteranceView
from harness.schema.run import RunConfig, row_label

LABELS = LabelSet(("neutral", "joy"), neutral="neutral")
DIALOGUE = Dialogue(
    "d1",
    (
        Utterance("u1", ("A",), "Hello.", "neutral"),
        Utterance("u2", ("B", "C"), "(laughs)", None),
        Utterance("u3", ("A",), "Great!", "joy"),
    ),
)


def test_full_context_is_one_view_of_everything() -> None:
    (view,) = DIALOGUE.views("full", LABELS)
    assert [u.id for u in view.utterances] == ["u1", "u2", "u3"]
    assert [u.id for u in view.targets] == ["u1", "u3"]


def test_past_context_ends_at_the_target() -> None:
    views = list(DIALOGUE.views("past", LABELS))
    assert [[u.id for u in view.utterances] for view in views] == [["u1"], ["u1", "u2", "u3"]]
    assert [[u.id for u in view.targets] for view in views] == [["u1"], ["u3"]]


def test_no_context_is_the_target_alone() -> None:
    assert [[u.id for u in view.utterances] for view in DIALOGUE.views("none", LABELS)] == [["u1"], ["u3"]]


def test_a_view_has_no_field_for_gold() -> None:
    assert {field.name for field in dataclasses.fields(UtteranceView)} == {"id", "speakers", "text"}
    (view,) = DIALOGUE.views("full", LABELS)
    assert all(type(u) is UtteranceView for u in view.utterances)
    assert view.utterances[1].speaker == "B & C"


@pytest.mark.parametrize("labels", [(), ("joy",), ("joy", "joy"), ("joy", "")])
def test_label_sets_need_two_different_names(labels: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        LabelSet(labels)


def test_neutral_is_one_of_the_labels() -> None:
    with pytest.raises(ConfigError, match="'calm'"):
        LabelSet(("joy", "anger"), neutral="calm")


def test_label_index_round_trip_and_unknown_label() -> None:
    assert [LABELS.labels[LABELS.index(label)] for label in LABELS.labels] == list(LABELS.labels)
    with pytest.raises(UnknownNameError, match="did you mean 'joy'"):
        LABELS.index("jooy")


@pytest.mark.parametrize(("label", "status"), [("joy", "unparsed"), (None, "ok"), ("joy", "failed"), (None, "perfect")])
def test_label_and_status_may_not_contradict(label: str | None, status: str) -> None:
    with pytest.raises(PredictionError):
        Prediction("u1", label, status=status)  # type: ignore[arg-type]


@pytest.mark.parametrize("scores", [{"a": 2.0, "b": -1.0}, {"a": 0.2, "b": 0.2}, {"a": float("nan"), "b": 1.0}])
def test_scores_are_probabilities(scores: dict[str, float]) -> None:
    with pytest.raises(PredictionError, match="not probabilities"):
        Prediction("u1", "a", scores)


def test_run_id_depends_on_everything_but_order_and_names_the_seed() -> None:
    base = RunConfig("svm", {"a": 1, "b": 2}, "meld", "f" * 64, "test", 3)
    assert base.run_id.startswith("seed3-")
    assert base.config_id == dataclasses.replace(base, params={"b": 2, "a": 1}).config_id
    assert base.config_id == dataclasses.replace(base, seed=4).config_id
    for change in (
        {"predictor": "x"}, {"params": {"a": 1, "b": 3}}, {"dataset": "x"}, {"dataset_fingerprint": "e" * 64},
        {"split": "dev"},
    ):  # fmt: skip
        assert dataclasses.replace(base, **change).config_id != base.config_id  # type: ignore[arg-type]


def test_row_label_shows_changed_parameters_sorted() -> None:
    assert row_label("svm", {}) == "svm"
    assert row_label("svm", {"speaker": True, "c": 0.5, "kind": "x"}) == "svm[c=0.5,kind=x,speaker=true]"
