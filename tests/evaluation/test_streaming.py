"""Predictors that yield their answers: each dialogue is kept as it comes, and what stops early goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.errors import CallsStoppedError
from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.progress import Progress
from harness.evaluation.runner import execute_run
from harness.llm.calls import CallSettings
from harness.predictors import PREDICTORS, Predictor, PredictorCard, register_predictor
from harness.predictors.session import Session
from harness.schema import DialogueView, Generation, Prediction
from harness.schema.run import Job, RunOutcome
from harness.store import StoredRun
from harness.store.run_store import read_manifest

RunIt = Callable[..., RunOutcome]


def generation(utterance_id: str) -> Generation:
    return Generation("exact", utterance_id, "p" * 64, ("t1", "t2"), 7, None, 0.25, None, 2, True)


class Streams(Predictor):
    """Yields neutral for every view; stops as somebody told it to."""

    asked: ClassVar[list[str]] = []
    stop_after: ClassVar[int | None] = None
    closed: ClassVar[int] = 0
    sessions: ClassVar[list[Session]] = []

    def __init__(self, folder: str = "", drawn: bool = False) -> None:
        self.folder = folder

    def use(self, session: Session) -> None:
        self.sessions.append(session)

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        try:
            for n, view in enumerate(dialogues):
                if n == self.stop_after:
                    raise CallsStoppedError("nobody answers; repeat the command to go on")
                self.asked.extend(u.id for u in view.targets)
                yield [Prediction(u.id, "neutral", generation=generation(u.id)) for u in view.targets]
        finally:
            type(self).closed += 1

    def facts(self) -> Mapping[str, Any]:
        return {"template": {"name": "zero-shot/v1"}}

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {**params, "folder": Path(params.get("folder", "")).name}

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        return replace(card, deterministic=not params["drawn"])


@pytest.fixture(autouse=True)
def forget() -> None:
    Streams.asked.clear()
    Streams.sessions.clear()
    Streams.stop_after, Streams.closed = None, 0


def sealed(outcome: RunOutcome) -> StoredRun:
    return StoredRun(Path(outcome.path), read_manifest(Path(outcome.path) / "manifest.json"))


def test_what_was_yielded_before_a_stop_is_kept_and_nothing_is_asked_twice(run_it: RunIt) -> None:
    Streams.stop_after = 5
    stopped = run_it(Streams, context="full")
    assert (stopped.status, stopped.detail) == ("incomplete", "nobody answers; repeat the command to go on")
    assert not (Path(stopped.path) / "manifest.json").exists()
    Streams.stop_after = None
    outcome = run_it(Streams)
    assert outcome.status == "done"
    assert Streams.asked == list(sealed(outcome).predictions())


def test_records_of_generations_survive_log_and_seal(run_it: RunIt) -> None:
    Streams.stop_after = 3
    run_it(Streams, context="full")
    Streams.stop_after = None
    run = sealed(run_it(Streams))
    assert run.generations() == {u: generation(u) for u in run.predictions()}
    assert run.manifest.predictor.facts == {"template": {"name": "zero-shot/v1"}}


def test_a_run_is_named_by_what_a_path_holds_and_keeps_no_path(run_it: RunIt) -> None:
    one = run_it(Streams, {"folder": "/somewhere/tiny"})
    other = run_it(Streams, {"folder": "/elsewhere/tiny"})
    assert (other.run_id, other.status) == (one.run_id, "skipped")
    assert "/somewhere" not in (Path(one.path) / "manifest.json").read_text()


def test_the_card_follows_the_parameters(run_it: RunIt) -> None:
    assert sealed(run_it(Streams)).manifest.predictor.card["deterministic"]
    assert not sealed(run_it(Streams, {"drawn": True})).manifest.predictor.card["deterministic"]


def test_the_settings_of_calls_reach_the_predictor(run_it: RunIt) -> None:
    run_it(Streams, calls=CallSettings(concurrency=3))
    assert [session.calls for session in Streams.sessions] == [CallSettings(concurrency=3)]


def test_the_generator_is_closed_whatever_ends_the_run(settings: Settings, predictors: None) -> None:
    register_predictor("lab/test", card=PredictorCard(family="test"))(Streams)
    assert "lab/test" in PREDICTORS

    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute_run(prepare(Job("lab/test", {}, "toy", "test", 0), settings), settings, interrupt)
    assert Streams.closed == 1
    assert len(Streams.asked) > 0


class TooMany(Streams):
    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        yield from super().predict_batch([*dialogues, dialogues[0]])


class TooFew(Streams):
    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        yield from super().predict_batch(dialogues[:-1])


def test_answers_for_other_views_than_those_asked_about_fail_the_run(run_it: RunIt) -> None:
    outcome = run_it(TooMany)
    assert (outcome.status, "more answers than the" in outcome.detail) == ("failed", True)


def test_too_few_answers_fail_the_run(run_it: RunIt) -> None:
    outcome = run_it(TooFew, context="full")
    assert (outcome.status, "0 answers for 1 views" in outcome.detail) == ("failed", True)


def test_a_kill_while_a_remade_run_takes_its_place_is_made_up_for(run_it: RunIt) -> None:
    first = Path(run_it(Streams).path)
    again = first.with_name(f"{first.name}.rerun")
    again.mkdir()
    for name in ("dialogues.parquet", "generations.parquet", "manifest.json"):  # predictions had been moved already
        (first / name).rename(again / name)
    Streams.asked.clear()
    outcome = run_it(Streams)
    assert outcome.status == "done"
    assert not Streams.asked
    assert not again.exists()
    assert sealed(outcome).generations().keys() == sealed(outcome).predictions().keys()
