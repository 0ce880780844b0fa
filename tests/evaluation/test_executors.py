"""Executors: what they refuse, what crosses to another machine, and what the driver does with what comes back."""

from __future__ import annotations

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
from harness.evaluation.executors.cluster import ATTEMPTS, check_room
from harness.evaluation.executors.node import Origin, work
from harness.evaluation.jobs import PreparedRun, Settings, plan
from harness.schema.run import Job, RunOutcome

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
            return SimpleNamespace(
                remote=lambda *args: Actor(thing()) if isinstance(thing, type) else Task(thing, args)
            )

        return SimpleNamespace(options=options)

    def wait(self, tasks: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return tasks[:num_returns], tasks[num_returns:]

    def get(self, task: Any) -> Any:
        if not isinstance(task, Task):
            return task
        answer = task.function(*task.arguments)
        if task.arguments[3] <= self.n_losses:
            raise self.RayError("lost")
        return self.change(answer)


class Task:
    def __init__(self, function: Any, arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments


class Actor:
    """Calls methods at once: `actor.method.remote(...)`."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self.thing, name))


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
    asked = {"num_cpus": 1.0, "num_gpus": 0.5, "memory": 4.0 * 1024**3, "resources": {}, "max_retries": 0}
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
        return replace(made, files={**made.files, name: made.files.get(name, b"").replace(old, new, 1)})

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
        manifest.write_text(manifest.read_text().replace('"code_sha256": "', '"code_sha256": "00'))
        return replace(answer, files={})

    fake_ray(change=change)
    outcomes = execute("ray", runs[:1], settings)
    assert (outcomes[0].status, (runs[0].folder / "manifest.json").exists()) == ("failed", False)


def test_a_corpus_that_a_machine_lacks_fails_that_run(runs: list[PreparedRun], settings: Settings) -> None:
    answer = work(JOBS[0].to_json(), replace(settings, data_dir=Path("/nowhere")), ORIGIN, 1, lambda progress: None)
    assert answer.outcome is None
    assert "toy" in answer.error


ORIGIN = Origin(Path("/nowhere"), {}, Path("/nowhere/mark"))
