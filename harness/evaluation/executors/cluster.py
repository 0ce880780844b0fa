"""Runs on the machines of a Ray cluster.

A machine prepares a job from its JSON, makes the run and writes that run's own folder, nothing else; where it does not
see the results folder, the sealed files, or the log of a shard, come back with the answer.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from harness.data.writing import disk
from harness.errors import ConfigError, MissingDependencyError
from harness.evaluation.executors.accepting import accept
from harness.evaluation.executors.executor import ExecutorSettings, OnOutcome, OnProgress, register_executor
from harness.evaluation.executors.node import Origin
from harness.evaluation.executors.room import check_room, ray_needs
from harness.evaluation.executors.workers import Workers
from harness.evaluation.jobs import PreparedRun, Settings
from harness.evaluation.runner import execute_run
from harness.schema.run import RunOutcome
from harness.store.layout import is_sealed


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
                workers = Workers(ray, settings, origin)
                for index in todo:
                    needs = ray_needs(runs[index].card.takes, self._resources)
                    check_room(needs, ray.nodes())
                    workers.submit(index, runs[index], needs)
                for index, answer in workers.answers(on_progress):
                    end(index, accept(runs[index], answer, settings.results_dir))
        return [outcomes[index] for index in range(len(runs))]


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
    with redirect_stdout(sys.stderr):  # Ray prints what it has to say of lost machines, to the last
        try:
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
