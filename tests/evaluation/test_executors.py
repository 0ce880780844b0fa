"""Executors: what they refuse, what crosses to another machine, and what the driver does with what comes back."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.errors import ConfigError, MissingDependencyError, UnknownNameError
from harness.evaluation.executors import ExecutorSettings, build_executor
from harness.evaluation.executors.node import Origin, work
from harness.evaluation.executors.room import check_room, ray_needs
from harness.evaluation.executors.workers import ATTEMPTS, WorkerActor, lost
from harness.evaluation.jobs import PreparedRun, Settings, plan
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.predictors.card import Resources
from harness.schema import DialogueView, Prediction
from harness.schema.run import Job, RunOutcome, Shard

JOBS = [Job("stratified", {}, "toy", "test", seed) for seed in (0, 1, 2)]
FILES = ("predictions.parquet", "dialogues.parquet")


@pytest.fixture
def runs(settings: Settings, predictors: None) -> list[PreparedRun]:
    return plan(JOBS, settings)


def execute(name: str, runs: Sequence[PreparedRun], settings: Settings, **asked: Any) -> list[RunOutcome]:
    """Makes runs with an executor, and checks that each outcome is reported once."""
    told: dict[int, RunOutcome] = {}
    executor = build_executor(name, ExecutorSettings(**asked))
    outcomes = executor.execute(runs, settings, lambda *_: None, lambda i, outcome: told.update({i: outcome}))
    assert [told[i] for i in range(len(runs))] == outcomes
    return outcomes


def contents(outcomes: Sequence[RunOutcome]) -> list[bytes]:
    return [(Path(outcome.path) / name).read_bytes() for outcome in outcomes for name in FILES]


@pytest.fixture
def serial_contents(settings: Settings, tmp_path: Path, predictors: None) -> list[bytes]:
    elsewhere = replace(settings, results_dir=tmp_path / "serial")
    return contents(execute("serial", plan(JOBS, elsewhere), elsewhere))


class FakeRay(ModuleType):
    """Runs a task when it is waited for; loses the first `n_losses` attempts of each, after they have run."""

    def __init__(self, n_losses: int, change: Callable[[Any], Any] = lambda answer: answer) -> None:
        super().__init__("ray")
        self.RayError = type("RayError", (Exception,), {})
        self.exceptions = SimpleNamespace(
            RayError=self.RayError, RayTaskError=type("RayTaskError", (self.RayError,), {})
        )
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        self.util = SimpleNamespace(scheduling_strategies=strategies)
        self.n_losses, self.change = n_losses, change
        self.options: list[dict[str, Any]] = []
        self.left = False
        self.n_killed = 0

    def init(self, address: str | None, **_: Any) -> None:
        if address == "nowhere:1":
            raise ConnectionError("Failed to connect\nmore")

    def shutdown(self) -> None:
        self.left = True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0, "memory": 2.0**34}}]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "here")

    def remote(self, thing: Any) -> Any:
        def options(**given: Any) -> Any:
            self.options.append(given)
            return SimpleNamespace(remote=lambda: Actor(thing()))

        return SimpleNamespace(options=options)

    def wait(self, tasks: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return tasks[:num_returns], tasks[num_returns:]

    def get(self, task: Any) -> Any:
        if not isinstance(task, Task):
            return task
        answer = task.function(*task.arguments)
        if not task.arguments:
            return answer
        if task.arguments[3] <= self.n_losses:
            raise self.RayError("lost")
        return self.change(answer)

    def kill(self, actor: Any) -> None:
        self.n_killed += 1


class Task:
    def __init__(self, function: Any, arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments


class Actor:
    """Calls methods of a board at once, those of a worker when they are waited for: `actor.method.remote(...)`."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.thing, name)
        later = isinstance(self.thing, WorkerActor)
        return SimpleNamespace(remote=lambda *args: Task(method, args) if later else method(*args))


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., FakeRay]:
    def install(n_losses: int = 0, **change: Any) -> FakeRay:
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        monkeypatch.chdir(tmp_path)
        fake = FakeRay(n_losses, **change)
        monkeypatch.setitem(sys.modules, "ray", fake)
        monkeypatch.setitem(sys.modules, "ray.util", fake.util)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "ray.util.scheduling_strategies", fake.util.scheduling_strategies)
        return fake

    return install


def test_a_job_crosses_as_json() -> None:
    job = Job("lab/x", {"text": "é", "sizes": [1, 2], "none": None}, "toy", "dev", 3)
    assert Job.from_json(job.to_json()) == job


def test_an_unknown_executor_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'processes'"):
        build_executor("process", ExecutorSettings())


@pytest.mark.parametrize("name", ["serial", "processes"])
def test_local_executors_take_no_cluster(name: str) -> None:
    with pytest.raises(ConfigError, match="add --executor ray"):
        build_executor(name, ExecutorSettings(resources={"gpus": 1}))


def test_ray_is_asked_for_by_what_to_type(
    runs: list[PreparedRun], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'erc-harness\[ray\]'"):
        execute("ray", runs, settings)
    assert not settings.results_dir.exists()


def test_a_cluster_makes_the_bytes_of_a_serial_run(
    runs: list[PreparedRun], settings: Settings, fake_ray: Callable[..., FakeRay], serial_contents: list[bytes]
) -> None:
    fake = fake_ray()
    outcomes = execute("ray", runs, settings, resources={"gpus": 0.5, "memory": 4.0})
    assert [outcome.status for outcome in outcomes] == ["done"] * 3
    assert contents(outcomes) == serial_contents
    asked = {"num_cpus": 1.0, "num_gpus": 0.5, "memory": 4.0 * 1024**3, "resources": {}}
    assert asked in fake.options
    assert fake.left
    assert not list(settings.results_dir.glob(".driver-*"))
    assert [outcome.status for outcome in execute("ray", runs, settings)] == ["skipped"] * 3


def test_a_lost_machine_costs_another_attempt_and_no_result(
    runs: list[PreparedRun], settings: Settings, fake_ray: Callable[..., FakeRay], serial_contents: list[bytes]
) -> None:
    fake_ray(n_losses=ATTEMPTS - 1)
    assert contents(execute("ray", runs, settings)) == serial_contents


def test_a_run_that_loses_every_machine_is_left_incomplete(
    runs: list[PreparedRun], settings: Settings, fake_ray: Callable[..., FakeRay]
) -> None:
    fake_ray(n_losses=ATTEMPTS)
    outcomes = execute("ray", runs, settings)
    assert [outcome.status for outcome in outcomes] == ["incomplete"] * 3
    assert f"{ATTEMPTS} machines or processes were lost" in outcomes[0].detail


def test_no_cluster_at_an_address_is_one_line(
    runs: list[PreparedRun], settings: Settings, fake_ray: Callable[..., FakeRay]
) -> None:
    fake_ray()
    with pytest.raises(ConfigError, match="no Ray cluster at 'nowhere:1': Failed to connect; type: ray start") as error:
        execute("ray", runs, settings, address="nowhere:1")
    assert "\n" not in str(error.value)


def test_what_no_machine_has_is_refused_before_it_waits_for_ever() -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}},
        {"Alive": False, "Resources": {"CPU": 8.0, "GPU": 8.0}},
    ]
    check_room({"CPU": 8, "GPU": 1}, nodes)
    with pytest.raises(ConfigError, match="CPU 1, GPU 2.*they have: CPU 8, GPU 1"):
        check_room({"CPU": 1, "GPU": 2}, nodes)


@pytest.fixture
def made_there(settings: Settings, tmp_path: Path) -> Callable[[Any], Any]:
    """Returns a function to what a machine would have answered, had it made the run on a disk of its own."""
    there = replace(settings, results_dir=tmp_path / "there")
    origin = Origin(tmp_path, {}, tmp_path / "not seen")

    def change(answer: Any) -> Any:
        job = Job("stratified", {}, "toy", "test", answer.outcome.seed)
        shutil.rmtree(answer.outcome.path)
        return work(job.to_json(), there, origin, 1, lambda progress: None)

    return change


def test_results_come_back_from_a_machine_that_does_not_see_the_folder(
    runs: list[PreparedRun],
    settings: Settings,
    fake_ray: Callable[..., FakeRay],
    serial_contents: list[bytes],
    made_there: Callable[[Any], Any],
) -> None:
    fake_ray(change=made_there)
    outcomes = execute("ray", runs, settings)
    assert [outcome.status for outcome in outcomes] == ["done"] * 3
    assert [outcome.path for outcome in outcomes] == [str(run.folder) for run in runs]
    assert contents(outcomes) == serial_contents


def test_an_answer_about_another_run_is_not_taken(
    runs: list[PreparedRun], settings: Settings, fake_ray: Callable[..., FakeRay]
) -> None:
    fake_ray(change=lambda answer: replace(answer, outcome=replace(answer.outcome, run_id="seed0-00000000")))
    outcomes = execute("ray", runs[:1], settings)
    assert outcomes[0].status == "failed"
    assert "has other data or another version of the code" in outcomes[0].detail


def changed(content: bytes, old: bytes, new: bytes) -> bytes:
    """Returns a file with the first of some bytes changed; a manifest no longer vouches for itself."""
    return re.sub(rb'(\n "sha256": ")[0-9a-f]+"\n}', rb'\1"\n}', content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("predictions.parquet", b"PAR1", b"PAR2", "is not the file that was sealed"),
        ("manifest.json", b'"code_sha256": "', b'"code_sha256": "00', "runs other code of the predictor"),
        ("../../../../escaped", b"", b"x", ""),
    ],
    ids=["damaged", "other code", "path"],
)
def test_what_comes_back_is_checked_before_it_takes_a_place(
    runs: list[PreparedRun],
    settings: Settings,
    fake_ray: Callable[..., FakeRay],
    made_there: Callable[[Any], Any],
    name: str,
    old: bytes,
    new: bytes,
    why: str,
) -> None:
    def change(answer: Any) -> Any:
        made = made_there(answer)
        return replace(made, files={**made.files, name: changed(made.files.get(name, b""), old, new)})

    fake_ray(change=change)
    outcomes = execute("ray", runs[:1], settings)
    assert outcomes[0].status == ("failed" if why else "done")
    assert why in outcomes[0].detail
    assert (runs[0].folder / "manifest.json").exists() == (not why), "no wrong run is found done by the next command"
    assert not list(settings.results_dir.parent.rglob("escaped"))
    assert [path.name for path in settings.results_dir.iterdir()] == ["runs"]


def test_a_run_by_other_code_in_a_shared_folder_is_not_left_sealed(
    runs: list[PreparedRun], settings: Settings, fake_ray: Callable[..., FakeRay]
) -> None:
    def change(answer: Any) -> Any:
        manifest = Path(answer.outcome.path) / "manifest.json"
        manifest.write_bytes(changed(manifest.read_bytes(), b'"code_sha256": "', b'"code_sha256": "00'))
        return replace(answer, files={})

    fake_ray(change=change)
    outcomes = execute("ray", runs[:1], settings)
    assert (outcomes[0].status, (runs[0].folder / "manifest.json").exists()) == ("failed", False)


def test_a_corpus_that_a_machine_lacks_fails_that_run(runs: list[PreparedRun], settings: Settings) -> None:
    answer = work(JOBS[0].to_json(), replace(settings, data_dir=Path("/nowhere")), ORIGIN, 1, lambda progress: None)
    assert answer.outcome is None
    assert "toy" in answer.error


@pytest.mark.parametrize("is_shared", [True, False])
def test_shards_on_a_cluster_have_the_bytes_of_a_serial_run(
    settings: Settings, fake_ray: Callable[..., FakeRay], predictors: None, tmp_path: Path, is_shared: bool
) -> None:
    register_predictor("lab/length", card=PredictorCard(family="test", takes=Resources(cpus=2)))(ByLength)
    job = Job("lab/length", {}, "toy", "test", 0)
    elsewhere = replace(settings, results_dir=tmp_path / "serial")
    alone = contents(execute("serial", plan([job], elsewhere), elsewhere))
    there = replace(settings, results_dir=tmp_path / "there")

    def on_a_disk_of_its_own(answer: Any) -> Any:
        shard = Path(answer.outcome.path)
        names = (shard / "run.log.jsonl").read_text().splitlines()[1:]
        own = tuple(json.loads(line)["dialogue_id"] for line in names)
        index, of = shard.name.split("-of-")
        shutil.rmtree(shard)
        made = replace(job, shard=Shard(int(index), int(of), own))
        return work(made.to_json(), there, Origin(tmp_path, {}, tmp_path / "not seen"), 1, lambda progress: None)

    fake = fake_ray() if is_shared else fake_ray(change=on_a_disk_of_its_own)
    (outcome,) = execute("ray", plan([job], settings), settings, n_shards=3)
    assert outcome.status == "done", outcome.detail
    assert contents([outcome]) == alone
    assert {"num_cpus": 2.0, "resources": {}} in fake.options
    assert not list(settings.results_dir.rglob("run.log.jsonl")) and not list(there.results_dir.rglob("run.log.jsonl"))


class ByLength(Predictor):
    """Joy where a text has an odd number of letters."""

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return [Prediction(u.id, "joy" if len(u.text) % 2 else "neutral") for u in dialogue.targets]


def test_a_shard_that_lacks_a_dialogue_is_not_merged(
    settings: Settings, fake_ray: Callable[..., FakeRay], predictors: None
) -> None:
    register_predictor("lab/length", card=PredictorCard(family="test"))(ByLength)

    def shorten(answer: Any) -> Any:
        log = Path(answer.outcome.path) / "run.log.jsonl"
        log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
        return answer

    fake_ray(change=shorten)
    (outcome,) = execute("ray", plan([Job("lab/length", {}, "toy", "test", 0)], settings), settings, n_shards=3)
    assert outcome.status == "failed"
    assert "left out dialogue" in outcome.detail
    assert not (Path(outcome.path) / "manifest.json").exists()


def test_what_the_user_asks_for_goes_before_the_card() -> None:
    card = Resources(cpus=4, gpus=1, memory=16)
    assert ray_needs(card, {}) == {"CPU": 4.0, "GPU": 1.0, "memory": 16 * 2.0**30}
    assert ray_needs(card, {"gpus": 0, "cpus": 0.5, "slot": 1}) == {"CPU": 0.5, "memory": 16 * 2.0**30, "slot": 1.0}
    assert ray_needs(Resources(), {}) == {"CPU": 1.0}


def test_memory_that_ran_out_is_told_from_a_lost_machine() -> None:
    assert "4 machines or processes ran out of memory" in lost(type("OutOfMemoryError", (Exception,), {})())
    assert "4 machines or processes were lost" in lost(type("ActorDiedError", (Exception,), {})())


ORIGIN = Origin(Path("/nowhere"), {}, Path("/nowhere/mark"))
