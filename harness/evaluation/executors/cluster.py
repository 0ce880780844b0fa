"""The machines of a Ray cluster: each run is a task that Ray places where its CPUs, GPUs and memory are free.

A machine prepares a job from its JSON, makes the run and writes that run's own folder, nothing else; where it does not
see the results folder, the sealed files come back with the answer. The driver takes no wrong answer: the run must be
the one that was asked for, sealed, with the hashes of its manifest, made by the same code of the predictor. A run whose
machine is lost begins again elsewhere, and goes on where its log ends if the folder is shared.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
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
from harness.schema.run import RunOutcome
from harness.store.atomic import write_atomic
from harness.store.layout import MANIFEST, SEALED, is_sealed

ATTEMPTS = 4
"""Machines that a run may lose before it is left incomplete: it may be what breaks them."""

POLL_SECONDS = 0.5
"""Between two looks at progress while no run ends."""

LATE_SECONDS = 60.0
"""A network file system may show a file of another machine so much later."""

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
        needs = {"cpus": 1.0, **settings.resources}
        self._needs = {RAY_NAMES.get(k, (k, 1))[0]: v * RAY_NAMES.get(k, (k, 1))[1] for k, v in needs.items()}

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
                check_room(self._needs, ray.nodes())
                tasks = _Tasks(ray, self._needs, settings, origin)
                for index in todo:
                    tasks.submit(index, runs[index])
                for index, answer in tasks.answers(on_progress):
                    end(index, _accept(runs[index], answer, settings.results_dir))
        return [outcomes[index] for index in range(len(runs))]


class _Tasks:
    """Runs under way on a cluster."""

    def __init__(self, ray: Any, needs: Mapping[str, float], settings: Settings, origin: Origin) -> None:
        named = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
        options = {named[name]: amount for name, amount in needs.items() if name in named}
        own = {name: amount for name, amount in needs.items() if name not in named}
        self._ray, self._needs, self._sent = ray, needs, (settings, origin)
        self._work = ray.remote(_work).options(max_retries=0, resources=own, **options)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = ray.remote(_ProgressBoard).options(num_cpus=0, scheduling_strategy=here).remote()
        self._pending: dict[Any, tuple[int, PreparedRun, int]] = {}

    def submit(self, index: int, run: PreparedRun, attempt: int = 1) -> None:
        """Hands a run to the cluster."""
        task = self._work.remote(run.job.to_json(), *self._sent, attempt, self._board, index)
        self._pending[task] = (index, run, attempt)

    def answers(self, on_progress: OnProgress) -> Iterator[tuple[int, Answer | RunOutcome]]:
        """Yields runs by their index as they end: the answer of the machine, or an outcome if none can be had."""
        ray = self._ray
        while self._pending:
            ended, _ = ray.wait(list(self._pending), num_returns=1, timeout=POLL_SECONDS)
            for index, progress in ray.get(self._board.take.remote()).items():
                on_progress(index, progress)
            for task in ended:
                index, run, attempt = self._pending.pop(task)
                try:
                    yield index, ray.get(task)
                except ray.exceptions.RayTaskError:  # a bug of ours: a predictor's are caught on the machine
                    raise
                except ray.exceptions.RayError as error:
                    if attempt < ATTEMPTS:
                        on_progress(index, Progress("fit", 0, 0, "its machine is lost, another one takes it over"))
                        self.submit(index, run, attempt + 1)
                    else:
                        yield index, not_made(run, "incomplete", _lost(error))
            if not ended and not _has_room(self._needs, ray.nodes()):
                yield from (
                    (index, not_made(run, "incomplete", "no machine of the cluster that is left is large enough"))
                    for index, run, _ in self._pending.values()
                )
                return


class _ProgressBoard:
    """The latest progress of each run, until the driver takes it; lives on the driver's machine."""

    def __init__(self) -> None:
        self._latest: dict[int, Progress] = {}

    def put(self, index: int, progress: Progress) -> None:
        self._latest[index] = progress

    def take(self) -> dict[int, Progress]:
        latest, self._latest = self._latest, {}
        return latest


def _work(job: str, settings: Settings, origin: Origin, attempt: int, board: Any, index: int) -> Answer:
    """Makes one run on a machine of the cluster."""
    return work(job, settings, origin, attempt, lambda progress: board.put.remote(index, progress))


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
    deadline = time.monotonic() + LATE_SECONDS
    while not is_sealed(run.folder) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return check_sealed(run)


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


def _lost(error: Exception) -> str:
    what = type(error).__name__
    return f"{ATTEMPTS} machines or processes were lost under it ({what}); give it more memory with -R, then repeat"


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
