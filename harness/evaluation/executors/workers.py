"""Workers of a Ray cluster: each makes one run, or shard of one, after another on its machine.

Runs that ask the same language model go to the same workers, which load it once. A run whose worker is lost begins
again elsewhere, and goes on where its log ends if the folder is shared.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from harness.evaluation.executors.executor import OnProgress, not_made
from harness.evaluation.executors.node import Answer, Origin, work
from harness.evaluation.executors.room import count_room, has_room
from harness.evaluation.jobs import PreparedRun, Settings
from harness.evaluation.progress import Progress
from harness.llm.local.keeping import keep_last_model
from harness.predictors.prompted import PromptedPredictor
from harness.schema.run import RunOutcome

ATTEMPTS = 4
"""Machines that a run may lose before it is left incomplete: it may be what breaks them."""

POLL_SECONDS = 0.5
"""Between two looks at progress while no run ends."""

MOST_STARTING = 8
"""Workers of a group that Ray is asked for and has not placed: each may be long in loading a model."""


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


class Workers:
    """Runs under way on a cluster: each group has as many workers as find room, each of which makes run after run."""

    def __init__(self, ray: Any, settings: Settings, origin: Origin) -> None:
        self._ray, self._sent = ray, (settings, origin)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        # Ray may kill it where memory lacks, and then begins it anew.
        self._board = ray.remote(_ProgressBoard).options(num_cpus=0, scheduling_strategy=here, max_restarts=-1).remote()
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
            with suppress(ray.exceptions.RayError):  # what was on a board that died is nothing but progress
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
                    if group.queue and not has_room(group.needs, nodes):
                        yield from _give_up(group, "no machine of the cluster that is left is large enough")

    def _staff(self) -> bool:
        """Asks for the workers that there is work and room for; returns whether anything is under way."""
        for group in self._groups.values():
            idle = sum(worker.task is None for worker in group.workers)
            room = count_room(group.needs, self._ray.nodes()) if len(group.queue) > idle else 0
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


def lost(error: Exception) -> str:
    """Returns why a run is left after its last attempt."""
    what = type(error).__name__
    why = "ran out of memory" if what == "OutOfMemoryError" else "were lost"
    return f"{ATTEMPTS} machines or processes {why} under it ({what}); give it more memory with -R, then repeat"
