"""The conformance suite on trial itself: predictors that break one rule each, and the check that must notice."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Split, load_dataset
from harness.predictors import PREDICTORS, Predictor, PredictorCard, PredictorSpec
from harness.predictors.check import CHECKS, CheckResult, check_predictor, find_gold
from harness.predictors.plugins import load_plugins
from harness.predictors.trial import Trial
from harness.schema import Dialogue, DialogueView, LabelSet, Prediction, Utterance, UtteranceView
from harness.schema.dialogue import Context

NAMES = [check.name for check in CHECKS]


def pick(labels: LabelSet, thing: object) -> str:
    """Returns a label that looks random but depends on the thing alone."""
    return labels.labels[sha256(repr(thing).encode()).digest()[0] % len(labels)]


class Decent(Predictor):
    """Keeps every rule: labels by the words of the target."""

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return [self.say(dialogue, target) for target in dialogue.targets]

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, pick(dialogue.label_set, target.text))


def outcome(
    build: type[Predictor],
    context: Context = "past",
    params: Mapping[str, object] | None = None,
    deterministic: bool = False,
) -> dict[str, CheckResult]:
    """Returns the results of the suite by name."""
    card = PredictorCard(family="simple", context=context, deterministic=deterministic)
    return {r.name: r for r in check_predictor(PredictorSpec("lab/x", card, build), params or {})}


def failures(*args: Any, **options: Any) -> list[str]:
    return [name for name, result in outcome(*args, **options).items() if not result.passed]


@pytest.mark.parametrize("name", ["majority", "stratified", "tfidf-logreg", "tfidf-svm"])
def test_built_in_systems_keep_every_rule(name: str) -> None:
    load_plugins()
    assert [(r.name, r.passed) for r in check_predictor(PREDICTORS.get(name))] == [(name, True) for name in NAMES]


@pytest.mark.parametrize("context", ["none", "past", "full"])
def test_a_decent_predictor_keeps_every_rule_with_any_context(context: Context) -> None:
    results = outcome(Decent, context, deterministic=True)
    assert list(results) == NAMES
    assert [r.detail for r in results.values() if not r.passed] == []
    assert [r.detail for r in results.values()] == [check.rule for check in CHECKS]


class WithoutDefault(Decent):
    def __init__(self, size: int) -> None:
        pass


class Tuned(Decent):
    def __init__(self, size: int = 3) -> None:
        pass


def test_parameters_need_defaults_and_annotations_and_good_values() -> None:
    assert failures(WithoutDefault) == ["parameters"]
    result = outcome(Tuned, params={"size": "x"})
    assert list(result) == ["parameters"]
    assert result["parameters"].detail == "ConfigError: parameter 'size' of 'lab/x': got 'x', expected a whole number"
    assert failures(Tuned, params={"size": "5"}) == []


class CannotLearn(Decent):
    def fit(self, train: Split, dev: Split) -> None:
        raise RuntimeError("no memory left")


class CannotPredict(Decent):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        raise KeyError("word")


class CannotStart(Decent):
    def __init__(self) -> None:
        raise OSError("no such model")


@pytest.mark.parametrize(
    ("build", "check", "detail"),
    [
        (CannotStart, "learning", "OSError: no such model"),
        (CannotLearn, "learning", "RuntimeError: no memory left"),
        (CannotPredict, "targets", "KeyError: 'word'"),
    ],
)
def test_an_exception_is_a_failed_check_with_its_text_and_the_last_one(
    build: type[Predictor], check: str, detail: str
) -> None:
    results = outcome(build)
    assert list(results) == NAMES[: NAMES.index(check) + 1]
    assert [r for r in results.values() if not r.passed] == [CheckResult(check, False, detail)]


class SkipsOne(Decent):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return [p for p in super().predict(dialogue) if not p.utterance_id.endswith("-03")]


class Reorders(Decent):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return super().predict(dialogue)[::-1]


class NamesAnother(Decent):
    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return replace(super().say(dialogue, target), utterance_id=dialogue.utterances[0].id)


class LosesAView(Decent):
    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        return super().predict_batch(dialogues[1:])


class ReturnsLabels(Decent):
    def predict(self, dialogue: DialogueView) -> list[Any]:
        return ["joy" for _ in dialogue.targets]


@pytest.mark.parametrize("build", [SkipsOne, NamesAnother, LosesAView, ReturnsLabels])
def test_every_target_needs_its_one_prediction(build: type[Predictor]) -> None:
    assert failures(build) == ["targets"]


def test_predictions_come_in_the_order_of_the_targets() -> None:
    assert failures(Reorders, "full") == ["targets"]
    assert failures(Reorders, "past") == []  # one target a view: nothing to reorder


class SaysHappy(Decent):
    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, "happy")


class GivesUp(Decent):
    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, None, status="unparsed")


def test_a_label_outside_the_set_is_noticed_and_no_label_is_not() -> None:
    results = outcome(SaysHappy)
    assert [name for name, r in results.items() if not r.passed] == ["labels"]
    assert "is 'happy', expected one of ['neutral', " in results["labels"].detail
    assert failures(GivesUp) == []


class ScoresOne(Decent):
    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        label = pick(dialogue.label_set, target.text)
        return Prediction(target.id, label, {label: 1.0})


class ScoresMore(Decent):
    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        scores = dict.fromkeys([*dialogue.label_set.labels, "other"], 1 / (len(dialogue.label_set) + 1))
        return Prediction(target.id, pick(dialogue.label_set, target.text), scores)


@pytest.mark.parametrize("build", [ScoresOne, ScoresMore])
def test_scores_are_for_all_labels_and_no_others(build: type[Predictor]) -> None:
    assert failures(build) == ["scores"]


class Unseeded(Decent):
    def __init__(self) -> None:
        self.whim = np.random.default_rng().integers(2**40)

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, pick(dialogue.label_set, (target.text, self.whim)))


class Seeded(Decent):
    def __init__(self, seed: int = 0) -> None:
        self.whim = np.random.default_rng(seed).integers(2**40)

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, pick(dialogue.label_set, (target.text, self.whim)))


def test_one_seed_gives_one_output_and_only_deterministic_ones_ignore_it() -> None:
    assert failures(Unseeded) == ["repetition"]
    assert failures(Seeded) == []
    assert failures(Seeded, deterministic=True) == ["determinism"]


class NearlyTheSame(Decent):
    """Scores differ by rounding from instance to instance."""

    def __init__(self) -> None:
        self.noise = np.random.default_rng().random() * 1e-6

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        labels = dialogue.label_set.labels
        rest = (0.5 - self.noise) / (len(labels) - 1)
        return Prediction(target.id, labels[0], {labels[0]: 0.5 + self.noise} | dict.fromkeys(labels[1:], rest))


class ScoresDrift(NearlyTheSame):
    def __init__(self) -> None:
        self.noise = 0.01 * np.random.default_rng().random() + 0.001


def test_rounding_of_scores_is_no_difference_and_more_is() -> None:
    assert failures(NearlyTheSame) == []
    assert failures(ScoresDrift) == ["repetition"]


class LooksUpTheStack(Decent):
    """Finds gold in the variables of whoever calls it."""

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        frame = sys._getframe()
        while frame.f_back is not None:
            frame = frame.f_back
            for value in frame.f_locals.values():
                for d in value if isinstance(value, list) else ():
                    for u in d.utterances if isinstance(d, Dialogue) else ():
                        if u.id == target.id:
                            return Prediction(target.id, u.label)
        return super().say(dialogue, target)


def test_a_predictor_that_finds_gold_outside_its_views_is_noticed() -> None:
    assert failures(LooksUpTheStack) == ["gold"]


class ReadsTheTest(Decent):
    """Chooses its settings on the test split, which it loads by itself."""

    def fit(self, train: Split, dev: Split) -> None:
        self.best = len(load_dataset("sample").split("test").dialogues) % 2


class KeepsTheTest(Decent):
    """Was handed the test split in some other way, and keeps a part of it in a closure."""

    def fit(self, train: Split, dev: Split) -> None:
        self.score = lambda kept=TEST.dialogues[0].utterances[:1]: kept


TEST = load_dataset("sample").split("test")


@pytest.mark.parametrize("build", [ReadsTheTest, KeepsTheTest])
def test_a_predictor_that_reaches_for_the_test_split_is_noticed(build: type[Predictor]) -> None:
    assert failures(build) == ["held out"]


class TellsItsDevScore(Decent):
    """Says which weighted F1 it has on dev, as trained systems do."""

    said: object = None

    def facts(self) -> Mapping[str, Any]:
        return {"training": {"best_epoch": 1, "dev_weighted_f1": self.said}}


def dev_score_of_decent() -> float:
    """The weighted F1 of `Decent` on dev, by a plain count."""
    dev = load_dataset("sample").split("dev")
    texts = {u.id: u.text for u in dev.utterances()}
    pairs = [(label, pick(dev.label_set, texts[id_])) for id_, label in dev.gold.items()]
    total = 0.0
    for label in dev.label_set.labels:
        n_gold, n_said = (sum(pair[i] == label for pair in pairs) for i in (0, 1))
        total += n_gold * 2 * pairs.count((label, label)) / max(n_gold + n_said, 1)
    return total / len(pairs)


@pytest.mark.parametrize(
    ("said", "broken"),
    [(lambda true: round(true, 6), False), (lambda true: true + 0.001, True), (str, True),
     (lambda true: float("nan"), True)],
)  # fmt: skip
def test_a_dev_score_that_the_predictions_do_not_have_is_noticed(said: Any, broken: bool) -> None:
    build = type("Tells", (TellsItsDevScore,), {"said": said(dev_score_of_decent())})
    assert failures(build) == (["dev score"] if broken else [])


def test_gold_is_found_wherever_a_view_leads() -> None:
    split = load_dataset("sample").split("test")
    dialogue = split.dialogues[0]
    (view,) = dialogue.views("full", split.label_set)
    assert find_gold([view]) is None
    assert find_gold([{"a": [view, (view.utterances[0], 1, None)]}]) is None
    smuggled: Any = dialogue.utterances[:2]
    assert isinstance(find_gold([view, replace(view, utterances=smuggled)]), Utterance)
    assert find_gold([{"a": [(0, dialogue)]}]) is dialogue
    assert find_gold([{"a": split}]) is split
    assert find_gold([lambda: dialogue]) is dialogue
    assert find_gold([lambda kept=dialogue: None]) is dialogue
    assert find_gold([dialogue.views("past", split.label_set)]) is dialogue  # a generator that is still open


def test_views_with_gold_in_them_fail_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Trial.views

    def leaky(trial: Trial, dialogues: Sequence[Dialogue]) -> list[DialogueView]:
        gold: Any = tuple(u for d in dialogues for u in d.utterances)
        return [replace(view, dialogue_id=Named(view.dialogue_id, gold)) for view in honest(trial, dialogues)]

    class Named(str):
        def __new__(cls, text: str, gold: object) -> Named:
            named = super().__new__(cls, text)
            named.gold = gold  # type: ignore[attr-defined]
            return named

    monkeypatch.setattr(Trial, "views", leaky)
    results = outcome(Decent)
    assert [name for name, r in results.items() if not r.passed] == ["gold"]
    assert "a view leads to Utterance(" in results["gold"].detail


class RemembersViews(Decent):
    """Keeps the longest view of every dialogue, over calls, and labels by how that dialogue ends."""

    def __init__(self) -> None:
        self.seen: dict[str, DialogueView] = {}

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        for view in dialogues:
            if len(view.utterances) >= len(self.seen.get(view.dialogue_id, view).utterances):
                self.seen[view.dialogue_id] = view
        return super().predict_batch(dialogues)

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        end = self.seen[dialogue.dialogue_id].utterances[-1]
        return Prediction(target.id, pick(dialogue.label_set, end.text))


class RemembersSpeakers(RemembersViews):
    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        end = self.seen[dialogue.dialogue_id].utterances[-1]
        return Prediction(target.id, pick(dialogue.label_set, end.speaker == target.speaker))


class RemembersUtterances(Decent):
    """Knows every utterance that was ever asked about."""

    def __init__(self) -> None:
        self.said: dict[str, dict[str, str]] = {}

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        for view in dialogues:
            self.said.setdefault(view.dialogue_id, {}).update((u.id, u.text) for u in view.utterances)
        return super().predict_batch(dialogues)

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, pick(dialogue.label_set, sorted(self.said[dialogue.dialogue_id].items())))


@pytest.mark.parametrize("build", [RemembersViews, RemembersSpeakers, RemembersUtterances])
def test_memory_that_spans_views_shows_what_the_card_hides(build: type[Predictor]) -> None:
    results = outcome(build, "past")
    assert [name for name, r in results.items() if not r.passed] == ["context"]
    assert results["context"].detail.endswith("after an utterance that the card hides was altered")


def test_with_context_none_every_other_utterance_is_hidden() -> None:
    assert failures(RemembersUtterances, "none") == ["context"]


def test_with_full_context_nothing_is_hidden() -> None:
    assert failures(RemembersViews, "full") == []


class PeeksAtCompanions(Decent):
    """Looks at the rest of the dialogue only where it happens to be in the same batch."""

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        ends = {view.dialogue_id: view.utterances[-1].text for view in dialogues}
        return [
            [Prediction(u.id, pick(view.label_set, (u.text, ends[view.dialogue_id]))) for u in view.targets]
            for view in dialogues
        ]

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return list(self.predict_batch([dialogue])[0])


def test_looking_at_later_views_of_the_batch_breaks_two_rules() -> None:
    assert failures(PeeksAtCompanions, "past") == ["context", "order"]


class CountsCompanions(Decent):
    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        return [
            [Prediction(u.id, pick(view.label_set, (u.text, len(dialogues)))) for u in view.targets]
            for view in dialogues
        ]

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return list(self.predict_batch([dialogue])[0])


class CountsPlaces(Decent):
    """Labels by the place in the batch, but sees to it that a single view gets the same."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        for place, view in enumerate(dialogues):
            self.places.update((u.id, place) for u in view.targets)
        return super().predict_batch(dialogues)

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, pick(dialogue.label_set, self.places[target.id]))


class OneStream(Decent):
    """Draws from one generator, call after call."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, pick(dialogue.label_set, self.rng.integers(2**40)))


@pytest.mark.parametrize("build", [CountsCompanions, CountsPlaces, OneStream])
def test_order_and_company_are_none_of_a_predictors_business(build: type[Predictor]) -> None:
    assert failures(build) == ["order"]


class Learns(Decent):
    def fit(self, train: Split, dev: Split) -> None:
        self.learned = len(train.gold)

    def say(self, dialogue: DialogueView, target: UtteranceView) -> Prediction:
        return Prediction(target.id, pick(dialogue.label_set, (target.text, self.learned)))

    def save(self, folder: Path) -> None:
        (folder / "learned.txt").write_text(str(self.learned))

    def load(self, folder: Path) -> None:
        self.learned = int((folder / "learned.txt").read_text())


class Forgets(Learns):
    def load(self, folder: Path) -> None:
        self.learned = 0


class ForgetsWhatItRead(Learns):
    """A run that was killed before it was sealed would have another manifest."""

    read: Mapping[str, int] | None = None

    def fit(self, train: Split, dev: Split) -> None:
        super().fit(train, dev)
        self.read = {"n": len(dev.gold)}

    def facts(self) -> dict[str, object]:
        return {"read": self.read}


class LosesTheFile(Learns):
    def save(self, folder: Path) -> None:
        pass


def test_what_is_loaded_is_what_was_saved() -> None:
    assert failures(Learns) == []
    assert failures(Forgets) == ["resumption"]
    results = outcome(ForgetsWhatItRead)
    assert [name for name, r in results.items() if not r.passed] == ["resumption"]
    assert results["resumption"].detail.startswith("fact 'read' is null after loading, and was {\"n\": ")
    results = outcome(LosesTheFile)
    assert [name for name, r in results.items() if not r.passed] == ["resumption"]
    assert results["resumption"].detail.startswith("FileNotFoundError: ")


def test_interrupts_pass_through() -> None:
    class Interrupted(Decent):
        def fit(self, train: Split, dev: Split) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcome(Interrupted)
