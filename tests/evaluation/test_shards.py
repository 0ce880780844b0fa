"""Runs made in shards: the same bytes as whole ones, whatever is killed, refused or counted otherwise in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.errors import CallsStoppedError, ConfigError
from harness.evaluation.executors import ExecutorSettings, build_executor
from harness.evaluation.executors.serial import SerialExecutor
from harness.evaluation.executors.sharding import ShardingExecutor
from harness.evaluation.jobs import PreparedRun, Settings, plan
from harness.evaluation.progress import Progress
from harness.evaluation.usage import sum_usage
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.schema import DialogueView, Generation, Prediction
from harness.schema.run import Job, RunOutcome, Shard
from harness.store import StoredRun
from harness.store.run_store import read_manifest

TABLES = ("predictions.parquet", "dialogues.parquet", "generations.parquet")


class Asked(Predictor):
    """Answers by the length of a text; remembers whom it was asked about."""

    asked: ClassVar[list[str]] = []
    stop_after: ClassVar[int] = 1000
    """Views that may be asked about."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        for view in dialogues:
            if len(self.asked) >= self.stop_after:
                raise CallsStoppedError("nobody answers; repeat the command to go on")
            self.asked.append(view.dialogue_id)
            yield [
                Prediction(
                    u.id,
                    "joy" if (len(u.text) + self._seed) % 2 else "neutral",
                    {"neutral": 0.5, "joy": 0.25, "anger": 0.25},
                    generation=Generation("exact", u.id, "p" * 64, (), 7, 2, None, 0.25, 1, False),
                )
                for u in view.targets
            ]

    def remark(self) -> str:
        return "asked" if self.asked else ""


@pytest.fixture
def asked(predictors: None) -> type[Asked]:
    Asked.asked.clear()
    Asked.stop_after = 1000
    register_predictor("lab/asked", card=PredictorCard(family="test", context="full"))(Asked)
    return Asked


def make(settings: Settings, n_shards: int, name: str = "lab/asked", seeds: Sequence[int] = (0,)) -> list[RunOutcome]:
    """Makes runs in this process, in shards if there are to be more than one."""
    executor: Any = SerialExecutor(ExecutorSettings())
    if n_shards > 1:
        executor = ShardingExecutor(executor, n_shards)
    told: dict[int, RunOutcome] = {}
    runs = plan([Job(name, {}, "toy", "test", seed) for seed in seeds], settings)
    outcomes: list[RunOutcome] = executor.execute(runs, settings, lambda *_: None, lambda i, o: told.update({i: o}))
    assert [told[index] for index in range(len(runs))] == outcomes
    return outcomes


def contents(outcome: RunOutcome) -> list[bytes]:
    return [(Path(outcome.path) / name).read_bytes() for name in TABLES]


@pytest.fixture
def whole(settings: Settings, asked: type[Asked], tmp_path: Path) -> list[bytes]:
    """The tables of a run that was made whole."""
    (outcome,) = make(replace(settings, results_dir=tmp_path / "whole"), 1)
    asked.asked.clear()
    return contents(outcome)


def test_a_shard_crosses_as_json() -> None:
    job = Job("lab/x", {}, "toy", "test", 0, Shard(2, 3, ("é", "d 2")))
    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize("n_shards", [2, 5, 14, 40])
def test_a_run_in_shards_has_the_bytes_of_a_whole_one(
    settings: Settings, asked: type[Asked], whole: list[bytes], n_shards: int
) -> None:
    (outcome,) = make(settings, n_shards)
    assert (outcome.status, outcome.detail) == ("done", "asked")
    assert contents(outcome) == whole
    assert len(asked.asked) == len(set(asked.asked)) == 14
    folder = Path(outcome.path)
    assert {path.name for path in folder.iterdir()} == {*TABLES, "manifest.json"}
    manifest = read_manifest(folder / "manifest.json")
    assert manifest.times["n_sessions"] == 1
    usage = sum_usage(StoredRun(folder, manifest).generations().values())
    assert usage.usd == pytest.approx(0.25 * usage.n_predictions)
    assert usage.n_prompt_tokens == 7 * usage.n_predictions
    assert make(settings, n_shards)[0].status == "skipped"


@pytest.mark.parametrize("numbers", [(3, 5, 2), (2, 1, 4), (1, 3, 1), (4, 4, 4)])
def test_another_number_of_shards_repeats_nothing(
    settings: Settings, asked: type[Asked], whole: list[bytes], numbers: Sequence[int]
) -> None:
    for n_shards, stop_after in zip(numbers, (5, 9, 1000), strict=True):
        asked.stop_after = stop_after
        (outcome,) = make(settings, n_shards)
        assert outcome.status == ("done" if stop_after == 1000 else "incomplete")
    assert contents(outcome) == whole
    assert len(asked.asked) == len(set(asked.asked)) == 14


def test_what_a_killed_driver_left_in_shards_is_taken_up_by_a_whole_run(
    settings: Settings, asked: type[Asked], whole: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.evaluation.executors import sharding

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sharding, "take_in", killed)
        with pytest.raises(KeyboardInterrupt):
            make(settings, 3)
    n_asked = len(asked.asked)
    assert 0 < n_asked < 14
    (outcome,) = make(settings, 1)
    assert contents(outcome) == whole
    assert len(asked.asked) == len(set(asked.asked)) == 14


def leave_in_a_shard(settings: Settings, asked: type[Asked]) -> Path:
    """Makes six dialogues of a run, and lets a shard of it have them; returns the shard's log."""
    asked.stop_after = 6
    (outcome,) = make(settings, 1)
    asked.stop_after = 1000
    shard = Path(outcome.path) / "shards" / "1-of-9" / "run.log.jsonl"
    shard.parent.mkdir(parents=True)
    return (Path(outcome.path) / "run.log.jsonl").rename(shard)


def test_half_a_line_of_a_killed_shard_is_cut_off(settings: Settings, asked: type[Asked], whole: list[bytes]) -> None:
    log = leave_in_a_shard(settings, asked)
    log.write_bytes(log.read_bytes()[:-20])
    (outcome,) = make(settings, 2)
    assert contents(outcome) == whole
    assert len(asked.asked) == 14 + 1


def test_a_shard_of_other_code_is_not_mixed_in(
    settings: Settings, asked: type[Asked], whole: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("harness.evaluation.making.code_sha256", lambda build: "another")
        leave_in_a_shard(settings, asked)
    (outcome,) = make(settings, 2)
    assert contents(outcome) == whole
    assert len(asked.asked) == 14 + 6


def test_a_shard_that_somebody_still_writes_is_not_touched(settings: Settings, asked: type[Asked]) -> None:
    from harness.data.writing import locked

    (run,) = plan([Job("lab/asked", {}, "toy", "test", 0)], settings)
    with locked(run.folder / "shards" / "1-of-2" / "lock"):
        (outcome,) = make(settings, 3)
    assert outcome.status == "failed"
    assert "another process is running" in outcome.detail
    assert not asked.asked


def test_two_commands_do_not_make_one_run_in_shards(settings: Settings, asked: type[Asked]) -> None:
    from harness.data.writing import locked

    (run,) = plan([Job("lab/asked", {}, "toy", "test", 0)], settings)
    with locked(run.folder / "lock"):
        (outcome,) = make(settings, 3)
    assert (outcome.status, "another process is running" in outcome.detail) == ("failed", True)


def test_one_broken_dialogue_fails_the_run_and_costs_only_itself(
    settings: Settings, asked: type[Asked], whole: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = asked.predict_batch

    def break_one(self: Asked, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        for view, answer in zip(dialogues, right(self, dialogues), strict=True):
            if view.dialogue_id == "test13":
                raise ValueError("I cannot read this")
            yield answer

    with monkeypatch.context() as patch:
        patch.setattr(asked, "predict_batch", break_one)
        (outcome,) = make(settings, 3)
    assert outcome.status == "failed"
    assert outcome.detail.startswith("1 of 3 shards: ValueError: I cannot read this; the traceback is in ")
    assert "I cannot read this" in Path(outcome.detail.rsplit(" ", 1)[1]).read_text()
    (outcome,) = make(settings, 2)
    assert contents(outcome) == whole
    assert asked.asked.count("test13") == 2 and len(asked.asked) == 15


def test_a_sealed_run_is_made_again_in_shards_and_only_then_replaced(
    settings: Settings, asked: type[Asked], whole: list[bytes]
) -> None:
    (outcome,) = make(settings, 3)
    asked.asked.clear()
    asked.stop_after = 5
    again = replace(settings, rerun=True)
    assert make(again, 3)[0].status == "incomplete"
    assert contents(outcome) == whole
    asked.stop_after = 1000
    (outcome,) = make(again, 2)
    assert (outcome.status, len(asked.asked)) == ("done", 14)
    assert contents(outcome) == whole
    assert [path.name for path in Path(outcome.path).parent.iterdir()] == [outcome.run_id]


def test_progress_of_shards_adds_up(settings: Settings, asked: type[Asked]) -> None:
    told: list[Progress] = []
    (run,) = plan([Job("lab/asked", {}, "toy", "test", 0)], settings)
    executor = ShardingExecutor(SerialExecutor(ExecutorSettings()), 3)
    executor.execute([run], settings, lambda _, progress: told.append(progress), lambda *_: None)
    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 14)
    assert {progress.total for progress in told} == {14}
    assert told[-1].text == "2 of 3 shards done"


def test_a_predictor_that_learns_runs_whole_beside_shards(settings: Settings, asked: type[Asked]) -> None:
    seen: list[Shard | None] = []

    class Watching(SerialExecutor):
        def execute(self, runs: Sequence[PreparedRun], *rest: Any) -> list[RunOutcome]:
            seen.extend(run.job.shard for run in runs)
            return super().execute(runs, *rest)

    jobs = [Job(name, {}, "toy", "test", 0) for name in ("lab/asked", "majority")]
    executor = ShardingExecutor(Watching(ExecutorSettings()), 2)
    outcomes = executor.execute(plan(jobs, settings), settings, lambda *_: None, lambda *_: None)
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert [shard and shard.name for shard in seen] == [None, "1-of-2", "2-of-2"]


def test_more_runs_than_are_open_at_once_are_made_in_waves(settings: Settings, asked: type[Asked]) -> None:
    outcomes = make(settings, 2, seeds=range(20))
    assert {outcome.status for outcome in outcomes} == {"done"}


def test_a_paid_answer_counts_as_often_as_it_was_paid() -> None:
    def one(cached: bool) -> Generation:
        return Generation("exact", "key", "p" * 64, (), 7, 2, None, 0.25, 1, cached)

    usage = sum_usage([one(False), one(True), one(False)])  # two shards asked the same at once; one found it stored
    assert (usage.n_answers, usage.n_attempts, usage.usd, usage.n_cached) == (1, 2, 0.5, 0)


def test_one_process_takes_no_shards() -> None:
    with pytest.raises(ConfigError, match="add --jobs 4, or --executor ray"):
        build_executor("serial", ExecutorSettings(n_shards=4))


PLUGIN = """
import os
from pathlib import Path
from harness import Prediction, Predictor, PredictorCard, register_predictor

@register_predictor("lab/dies", card=PredictorCard(family="test", context="full"))
class Dies(Predictor):
    def predict(self, dialogue):
        with Path("asked").open("a") as file:
            file.write(dialogue.dialogue_id + "\\n")
        if Path("die").exists() and dialogue.dialogue_id == "test9":
            os.kill(os.getpid(), 9)
        return [Prediction(u.id, "joy" if len(u.text) % 2 else "neutral") for u in dialogue.targets]
"""


def test_a_worker_that_is_killed_costs_one_dialogue(
    settings: Settings, predictors: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.predictors.plugins import load_plugins

    monkeypatch.chdir(tmp_path)
    Path("dies.py").write_text(PLUGIN)
    Path("die").touch()
    load_plugins(("dies.py",))
    here = replace(settings, plugins=("dies.py",))
    runs = plan([Job("lab/dies", {}, "toy", "test", 0)], here)
    executor = build_executor("processes", ExecutorSettings(n_processes=2, n_shards=2))
    (outcome,) = executor.execute(runs, here, lambda *_: None, lambda *_: None)
    assert outcome.status == "incomplete", outcome.detail
    assert "shards: its process died" in outcome.detail
    Path("die").unlink()
    (outcome,) = executor.execute(runs, here, lambda *_: None, lambda *_: None)
    assert outcome.status == "done"
    asked = Path("asked").read_text().split()
    assert set(asked) == {f"test{d}" for d in range(14)}
    assert len(asked) <= 14 + 2, "only what was in flight in the two workers is asked again"
    elsewhere = replace(here, results_dir=tmp_path / "serial")
    (alone,) = SerialExecutor(ExecutorSettings()).execute(
        plan([Job("lab/dies", {}, "toy", "test", 0)], elsewhere), elsewhere, lambda *_: None, lambda *_: None
    )
    for name in TABLES[:2]:
        assert (Path(outcome.path) / name).read_bytes() == (Path(alone.path) / name).read_bytes()
