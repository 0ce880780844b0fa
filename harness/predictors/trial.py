"""A predictor on trial: fresh instances, what they are asked about, and how two sets of answers differ.

Serves the conformance suite in `harness.predictors.check`; judges nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, cycle
from pathlib import Path

from harness.data import load_dataset
from harness.data.jsonl import SAMPLE
from harness.features import FeatureSource
from harness.llm.calls import CallSettings
from harness.predictors.answers import Answers
from harness.predictors.build import build_predictor, resolve_params
from harness.predictors.card import PredictorCard
from harness.predictors.predictor import Predictor, PredictorSpec
from harness.predictors.session import Session
from harness.schema import Dialogue, DialogueView, Utterance

N_DIALOGUES = 8
"""Dialogues of the sample's test split that are predicted: few, because many checks ask for them again."""

SCORE_TOLERANCE = 1e-4
"""Largest difference of two scores that counts as rounding: arrays of other shapes are summed in another order."""

SEED = 1

Keep = Callable[[int, int], bool]
"""Whether the utterance at a position, in a dialogue of some length, stays as it is."""


@dataclass(frozen=True)
class Hearing:
    """What an instance answers: first to all views at once, then to one after the other, the last one first."""

    together: Answers
    singly: Answers


class Trial:
    """A predictor, its parameters, and the dialogues of the sample corpus.

    Gold labels of the dialogues to predict exist as utterances only while the predictor is being asked: if it searches
    the memory of the process for gold, it finds the version at hand and no other.
    """

    def __init__(self, spec: PredictorSpec, params: Mapping[str, object], folder: Path) -> None:
        """Begins a trial; the folder is for what instances keep: each finds nothing of another's."""
        self.spec = spec
        self.params = params
        self._folder = folder
        self._numbers = count()
        sample = load_dataset("sample")
        test = sample.split("test")
        self.test_file = (SAMPLE / "test.jsonl").resolve()
        self._features = FeatureSource(sample.splits.values(), "test")
        self._train, self._dev = sample.split("train"), sample.split("dev")
        self._scripts = [(d.id, tuple(u.view() for u in d.utterances)) for d in test.dialogues[:N_DIALOGUES]]
        self.label_set = test.label_set
        self.gold: dict[str, str] = dict(test.gold)
        self._utterance_ids = sample.utterance_ids

    @cached_property
    def card(self) -> PredictorCard:
        """The declaration under these parameters."""
        return self.spec.build.refine_card(self.spec.card, resolve_params(self.spec, self.params))

    def build(self, seed: int = SEED) -> Predictor:
        """Returns a new instance that has learned nothing."""
        predictor = build_predictor(self.spec, self.params, seed)
        predictor.expect("test", self._utterance_ids)
        self.forget(predictor)
        return predictor

    def forget(self, predictor: Predictor) -> None:
        """Gives a predictor an empty store of responses, so that it has to answer anew, and nothing that is trained."""
        folder = self._folder / str(next(self._numbers))
        calls = CallSettings(cache=folder / "responses.sqlite")
        predictor.use(Session(calls, trained=folder / "trained", features=self._features))

    def train(self, seed: int = SEED) -> Predictor:
        """Returns a new instance that has learned from the sample."""
        predictor = self.build(seed)
        predictor.fit(self._train, self._dev)
        return predictor

    @cached_property
    def subject(self) -> Predictor:
        """The instance that most checks are about."""
        return self.train()

    @cached_property
    def hearing(self) -> Hearing:
        """The first answers of the subject."""
        return self.ask(self.subject, self.dialogues())

    def dialogues(self, gold: Mapping[str, str] | None = None) -> list[Dialogue]:
        """Returns the dialogues to predict, with other gold labels if some are given."""
        labels = self.gold if gold is None else gold
        return [
            Dialogue(name, tuple(Utterance(u.id, u.speakers, u.text, labels.get(u.id)) for u in script))
            for name, script in self._scripts
        ]

    def altered(self, keep: Keep) -> list[Dialogue]:
        """Returns the dialogues with other words and another speaker wherever `keep` says no."""
        donors = cycle(u.text for u in self._train.utterances())
        return [
            Dialogue(d.id, tuple(
                u if keep(i, len(d.utterances)) else Utterance(u.id, ("Somebody else",), next(donors), u.label)
                for i, u in enumerate(d.utterances)
            ))
            for d in self.dialogues()
        ]  # fmt: skip

    def kept(self, keep: Keep) -> list[str]:
        """Returns the ids of the targets that stay as they are."""
        return [d.utterances[i].id for d in self.dialogues() for i in d.labelled() if keep(i, len(d.utterances))]

    def views(self, dialogues: Iterable[Dialogue]) -> list[DialogueView]:
        """Returns what the predictor may see by its card."""
        return [view for d in dialogues for view in d.views(self.card.context, self.label_set)]

    def dev_weighted_f1(self) -> float:
        """Returns the weighted F1, a fraction, of what the subject predicts of the dev split."""
        from sklearn.metrics import f1_score

        self.forget(self.subject)
        answers = self.subject.predict_batch(self.views(self._dev.dialogues))
        said = {p.utterance_id: p.label or "" for answer in answers for p in answer}
        pairs = [(label, said.get(id_, "")) for id_, label in self._dev.gold.items()]
        gold, predicted = zip(*pairs, strict=True)
        return float(f1_score(gold, predicted, labels=self.label_set.labels, average="weighted", zero_division=0.0))

    def ask(self, predictor: Predictor, dialogues: Sequence[Dialogue]) -> Hearing:
        """Returns the answers of an instance, while the gold labels of these very dialogues are in memory."""
        views = self.views(dialogues)
        self.forget(predictor)
        together = list(predictor.predict_batch(views))
        self.forget(predictor)
        return Hearing(together, [predictor.predict(view) for view in reversed(views)])


def compare_hearings(before: Hearing, after: Hearing, ids: Sequence[str] | None = None) -> str | None:
    """Returns the first difference of two hearings in the predictions of some utterances, or of all; None: none."""
    together = compare_answers(before.together, after.together, ids)
    return together or compare_answers(before.singly, after.singly, ids)


def compare_answers(before: Answers, after: Answers, ids: Sequence[str] | None = None) -> str | None:
    """Returns the first difference in the predictions of some utterances, or of all; None if there is none.

    The order of answers does not matter, nor do differences of scores within `SCORE_TOLERANCE`.
    """
    old = {p.utterance_id: p for answer in before for p in answer}
    new = {p.utterance_id: p for answer in after for p in answer}
    for id_ in old if ids is None else ids:
        a, b = old.get(id_), new.get(id_)
        if a is None or b is None:
            return f"utterance {id_!r} has one prediction and then none"
        if (a.label, a.status) != (b.label, b.status):
            return f"utterance {id_!r} is {a.label or a.status!r}, then {b.label or b.status!r}"
        if (a.scores is None) != (b.scores is None):
            return f"utterance {id_!r} has scores in one case only"
        for label, score in (a.scores or {}).items():
            if abs(score - (b.scores or {}).get(label, -1.0)) > SCORE_TOLERANCE:
                return f"utterance {id_!r}: the score of {label!r} is {score:.6g}, then {(b.scores or {}).get(label)}"
    return None
