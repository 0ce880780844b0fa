"""The machines of a Ray cluster: workers that Ray places where the CPUs, GPUs and memory of a run are free.

A worker makes one run, or shard of one, after another; those that ask the same language model go to the same workers,
which load it once. A machine prepares a job from its JSON, makes the run and writes that run's own folder, nothing
else; where it does not see the results folder, the sealed files, or the log of a shard, come back with the answer. The
driver takes no wrong answer: the run must be the one that was asked for, sealed, with the hashes of its manifest, made
by the same code of the predictor. A run whose machine is lost begins again elsewhere, and goes on where its log ends if
the folder is shared.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.data.writing import disk
from harness.errors import ConfigError, HarnessError, MissingDependencyError
from harness.evaluation.executors.executor import (
    ExecutorSettings,
    OnOutcome,
    OnProgress,
    not_made,
    register_executor,
)
from harness.evaluation.executors.node import Answer, Origin, work
from harness.evaluation.jobs import PreparedRun, Settings
from harness.evaluation.runner import Progress, check_sealed, execute_run, move_sealed
from harness.llm.local.keeping import keep_last_model
from harness.predictors.card import Resources
from harness.predictors.prompted import PromptedPredictor
from harness.schema.run import RunOutcome
from harness.store.atomic import write_atomic
from harness.store.layout import LOG, MANIFEST, SEALED, is_sealed

ATTEMPTS = 4
"""Machines that a run may lose before it is left incomplete: it may be what breaks them."""

POLL_SECONDS = 0.5
"""Between two looks at progress while no run ends."""

LATE_SECONDS = 60.0
"""A network file system may show a file of another machine so much later."""

MOST_STARTING = 8
"""Workers of a group that Ray is asked for and has not placed: each may be long in loading a model."""

RAY_NAMES = {"cpus": ("CPU", 1), "gpus": ("GPU", 1), "memory": ("memory", 2**30)}
"""Ray's name of a resource, and how many of its units are one of ours; other resources keep theirs."""


@register_executor("ray")
class RayExecutor:
    """Makes runs on the machines of a Ray cluster."""

    def __init__(self, settings: ExecutorSettings) -> None:
        """Checks what is asked for.

        Raises:
            ConfigError: processes are asked for: Ray decides how many.
        """
        if settings.n_processes > 1:
            raise ConfigError("--jobs is for this machine; with --executor ray, -R cpus=N is what each run takes")
        self._address = settings.address
        self._resources = settings.resources

    def execute(
        self, runs: Sequence[PreparedRun], settings: Settings, on_progress: OnProgress, on_outcome: OnOutcome
    ) -> list[RunOutcome]:
        """Makes runs on a cluster; as `Executor.execute`.

        Raises:
            MissingDependencyError: Ray is not installed.
            ConfigError: there is no cluster at the address, or none of its machines is large enough.
            StoreError: the results folder cannot be written.
        """
        outcomes: dict[int, RunOutcome] = {}

        def end(index: int, outcome: RunOutcome) -> None:
            outcomes[index] = outcome
            on_outcome(index, outcome)

        todo = []
        for index, run in enumerate(runs):
            if is_sealed(run.folder) and not settings.rerun:
                end(index, execute_run(run, settings, lambda progress: None))
            else:
                todo.append(index)
        if todo:
            with _connected(self._address) as ray, _origin(settings.results_dir) as origin:
                workers = _Workers(ray, settings, origin)
                for index in todo:
                    needs = ray_needs(runs[index].card.takes, self._resources)
                    check_room(needs, ray.nodes())
                    workers.submit(index, runs[index], needs)
                for index, answer in workers.answers(on_progress):
                    end(index, _accept(runs[index], answer, settings.results_dir))
        return [outcomes[index] for index in range(len(runs))]


@dataclass(frozen=True, slots=True)
class _Task:
    """A run, or a shard of one, that somebody has to make."""

    index: int
    run: PreparedRun
    attempt: int = 1


@dataclass(eq=False, slots=True)
class _Worker:
    """A process that Ray has been asked for, or has placed."""

    actor: Any
    group: _Group
    task: _Task | None = None
    """What it makes; None: it starts, or has nothing to do."""


@dataclass(eq=False, slots=True)
class _Group:
    """Runs that take the same of a machine and, if they load a language model, the same model."""

    needs: Mapping[str, float]
    """Amount by Ray's name of a resource."""
    queue: deque[_Task] = field(default_factory=deque)
    workers: list[_Worker] = field(default_factory=list)
    n_failed_starts: int = 0


class _Workers:
    """Runs under way on a cluster: each group has as many workers as find room, each of which makes run after run."""

    def __init__(self, ray: Any, settings: Settings, origin: Origin) -> None:
        self._ray, self._sent = ray, (settings, origin)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = ray.remote(_ProgressBoard).options(num_cpus=0, scheduling_strategy=here).remote()
        self._groups: dict[object, _Group] = {}
        self._waited: dict[Any, _Worker] = {}

    def submit(self, index: int, run: PreparedRun, needs: Mapping[str, float]) -> None:
        """Takes a run on."""
        key = (tuple(needs.items()), model_key(run))
        self._groups.setdefault(key, _Group(needs)).queue.append(_Task(index, run))

    def answers(self, on_progress: OnProgress) -> Iterator[tuple[int, Answer | RunOutcome]]:
        """Yields runs by their index as they end: the answer of the machine, or an outcome if none can be had."""
        ray = self._ray
        while self._staff():
            if not self._waited:
                time.sleep(POLL_SECONDS)
            ended = ray.wait(list(self._waited), num_returns=1, timeout=POLL_SECONDS)[0] if self._waited else []
            for index, progress in ray.get(self._board.take.remote()).items():
                on_progress(index, progress)
            for reference in ended:
                worker = self._waited.pop(reference)
                task, worker.task = worker.task, None
                try:
                    answer = ray.get(reference)
                except ray.exceptions.RayTaskError:  # a bug of ours: a predictor's are caught on the machine
                    raise
                except ray.exceptions.RayError as error:
                    yield from self._replace(worker, task, error, on_progress)
                    continue
                if task is not None:
                    yield task.index, answer
                self._employ(worker)
            if not ended:
                nodes = ray.nodes()
                for group in self._groups.values():
                    if group.queue and not _has_room(group.needs, nodes):
                        yield from _give_up(group, "no machine of the cluster that is left is large enough")

    def _staff(self) -> bool:
        """Asks for the workers that there is work and room for; returns whether anything is under way."""
        for group in self._groups.values():
            idle = sum(worker.task is None for worker in group.workers)
            room = _count_room(group.needs, self._ray.nodes()) if len(group.queue) > idle else 0
            for _ in range(min(len(group.queue) - idle, room - len(group.workers), MOST_STARTING - idle)):
                named = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
                options = {named[name]: amount for name, amount in group.needs.items() if name in named}
                own = {name: amount for name, amount in group.needs.items() if name not in named}
                actor = self._ray.remote(WorkerActor).options(resources=own, **options).remote()
                worker = _Worker(actor, group)
                group.workers.append(worker)
                self._waited[actor.begin.remote()] = worker
        for reference, worker in list(self._waited.items()):  # who has not begun is not needed once the queue is empty
            if worker.task is None and not worker.group.queue:
                del self._waited[reference]
                self._employ(worker)
        return bool(self._waited) or any(group.queue for group in self._groups.values())

    def _employ(self, worker: _Worker) -> None:
        """Hands a worker its next run; without one it goes, and makes room."""
        group = worker.group
        if not group.queue:
            self._ray.kill(worker.actor)
            group.workers.remove(worker)
            return
        worker.task = task = group.queue.popleft()
        made = worker.actor.work.remote(task.run.job.to_json(), *self._sent, task.attempt, self._board, task.index)
        self._waited[made] = worker

    def _replace(
        self, worker: _Worker, task: _Task | None, error: Exception, on_progress: OnProgress
    ) -> Iterator[tuple[int, RunOutcome]]:
        """Gives the run of a lost worker to another one, unless it has lost too many."""
        group = worker.group
        group.workers.remove(worker)
        if task is None:
            group.n_failed_starts += 1
            if group.n_failed_starts >= ATTEMPTS:
                yield from _give_up(group, lost(error))
        elif task.attempt < ATTEMPTS:
            on_progress(task.index, Progress("fit", 0, 0, "its machine is lost, another one takes it over"))
            group.queue.append(replace(task, attempt=task.attempt + 1))
        else:
            yield task.index, not_made(task.run, "incomplete", lost(error))


def _give_up(group: _Group, why: str) -> Iterator[tuple[int, RunOutcome]]:
    """Yields the outcomes of runs that nobody can make."""
    while group.queue:
        task = group.queue.popleft()
        yield task.index, not_made(task.run, "incomplete", why)


class WorkerActor:
    """Makes one run after another on a machine of the cluster; a language model stays loaded in between."""

    def begin(self) -> None:
        """Answers once Ray has found room for it."""
        keep_last_model()

    def work(self, job: str, settings: Settings, origin: Origin, attempt: int, board: Any, index: int) -> Answer:
        """Makes one run; as `node.work`."""
        return work(job, settings, origin, attempt, lambda progress: board.put.remote(index, progress))


class _ProgressBoard:
    """The latest progress of each run, until the driver takes it; lives on the driver's machine."""

    def __init__(self) -> None:
        self._latest: dict[int, Progress] = {}

    def put(self, index: int, progress: Progress) -> None:
        self._latest[index] = progress

    def take(self) -> dict[int, Progress]:
        latest, self._latest = self._latest, {}
        return latest


def model_key(run: PreparedRun) -> object:
    """Returns what runs have in common that can share a loaded language model; None if the run loads none."""
    if not issubclass(run.spec.build, PromptedPredictor):
        return None
    return run.spec.name, json.dumps(run.params, sort_keys=True)


def _accept(run: PreparedRun, answer: Answer | RunOutcome, results_dir: Path) -> RunOutcome:
    """Returns the outcome of a run after checking that it is here, whole, and the one that was asked for."""
    if isinstance(answer, RunOutcome):
        return answer
    outcome = answer.outcome
    if outcome is None:
        return not_made(run, "failed", f"on {answer.machine}: {answer.error}")
    if outcome.run_id != run.config.run_id:
        return not_made(
            run, "failed",
            f"{answer.machine} has other data or another version of the code: its run would be {outcome.run_id}",
        )  # fmt: skip
    if run.job.shard is not None:
        return _accept_shard(run, answer, outcome)
    if outcome.status not in ("done", "skipped"):
        return outcome
    try:
        remark = _take_in(run, answer.files, results_dir) if answer.files else _check_when_seen(run)
    except (HarnessError, OSError) as error:
        return not_made(run, "failed", f"made on {answer.machine}, but {error}")
    if remark:
        if outcome.status == "done":
            (run.folder / MANIFEST).unlink(missing_ok=True)  # or the next command would find the run done
        return not_made(run, "failed", f"{answer.machine} runs other code of the predictor; install the same there")
    return replace(outcome, path=str(run.folder))


def _accept_shard(run: PreparedRun, answer: Answer, outcome: RunOutcome) -> RunOutcome:
    """Returns the outcome of a shard once its log is here; whoever merges looks at what the log holds."""
    try:
        if LOG in answer.files:
            with disk(run.folder):
                run.folder.mkdir(parents=True, exist_ok=True)
                write_atomic(run.folder / LOG, answer.files[LOG])
        elif outcome.status == "done":
            _wait_for(run.folder / LOG)
    except HarnessError as error:
        return not_made(run, "failed", f"made on {answer.machine}, but {error}")
    return outcome


def _take_in(run: PreparedRun, files: Mapping[str, bytes], results_dir: Path) -> str:
    """Puts a run that was made elsewhere in its place once it is checked; returns and raises as `check_sealed`."""
    with tempfile.TemporaryDirectory(dir=results_dir, prefix=".incoming-") as staging:
        folder = Path(staging) / run.folder.relative_to(results_dir)
        folder.mkdir(parents=True)
        for name in SEALED:
            if name in files:
                write_atomic(folder / name, files[name])
        remark = check_sealed(replace(run, folder=folder))
        if not remark:
            move_sealed(folder, run.folder)
    return remark


def _check_when_seen(run: PreparedRun) -> str:
    """Returns what to know about a sealed run, as soon as its manifest shows; raises StoreError."""
    _wait_for(run.folder / MANIFEST)
    return check_sealed(run)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + LATE_SECONDS
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def ray_needs(takes: Resources, asked: Mapping[str, float]) -> dict[str, float]:
    """Returns what a run takes, by Ray's names: what its card says, unless the user asks for something else."""
    needs = {name: float(amount) for name, amount in {**asdict(takes), **asked}.items() if amount or name == "cpus"}
    return {RAY_NAMES.get(k, (k, 1))[0]: v * RAY_NAMES.get(k, (k, 1))[1] for k, v in needs.items()}


def check_room(needs: Mapping[str, float], nodes: Sequence[Mapping[str, Any]]) -> None:
    """Checks that a machine of the cluster can ever take a run.

    Args:
        needs: amount by Ray's name of a resource.
        nodes: as `ray.nodes()` gives them.

    Raises:
        ConfigError: none can; a run would wait for ever.
    """
    if not _has_room(needs, nodes):
        asked = ", ".join(f"{name} {amount:g}" for name, amount in sorted(needs.items()))
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        there = "; ".join(", ".join(f"{name} {have.get(name, 0):g}" for name in sorted(needs)) for have in alive)
        raise ConfigError(
            f"no machine of the cluster has what a run is to take ({asked}); they have: {there}; lower -R"
        )


def _has_room(needs: Mapping[str, float], nodes: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        node["Alive"] and all(node["Resources"].get(name, 0) >= amount for name, amount in needs.items())
        for node in nodes
    )


def _count_room(needs: Mapping[str, float], nodes: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many workers fit on the machines at once, were they idle."""
    return sum(
        int(min((node["Resources"].get(name, 0) // amount for name, amount in needs.items() if amount), default=1))
        for node in nodes
        if node["Alive"]
    )


def lost(error: Exception) -> str:
    """Returns why a run is left after its last attempt."""
    what = type(error).__name__
    why = "ran out of memory" if what == "OutOfMemoryError" else "were lost"
    return f"{ATTEMPTS} machines or processes {why} under it ({what}); give it more memory with -R, then repeat"


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Joins a cluster, silently, and leaves it at the end: whatever of ours is under way there then ends."""
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise MissingDependencyError.of("ray", "ray", "--executor ray") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unless the user says so
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = str(error).strip().split("\n", maxsplit=1)[0]
        raise ConfigError(
            f"no Ray cluster at {address or os.environ.get('RAY_ADDRESS', 'this machine')!r}: {said}; type: ray start "
            "--head on one machine, ray start --address HOST:6379 on the others, and add --address HOST:6379"
        ) from None
    try:
        with redirect_stdout(sys.stderr):  # Ray prints what it has to say of lost machines
            yield ray
    finally:
        ray.shutdown()


@contextmanager
def _origin(results_dir: Path) -> Iterator[Origin]:
    """Says where the command was typed; the mark in the results folder goes away at the end."""
    with disk(results_dir):
        results_dir.mkdir(parents=True, exist_ok=True)
        descriptor, mark = tempfile.mkstemp(dir=results_dir, prefix=".driver-")
        os.close(descriptor)
    try:
        environment = {name: value for name, value in os.environ.items() if name.startswith("ERC_")}
        yield Origin(Path.cwd(), environment, Path(mark))
    finally:
        Path(mark).unlink(missing_ok=True)
