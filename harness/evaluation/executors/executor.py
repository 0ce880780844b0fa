"""What every executor does, the registry of executors, and what a user may ask of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from harness.errors import ConfigError
from harness.evaluation.jobs import PreparedRun, Settings
from harness.evaluation.progress import Progress
from harness.registry import Registry, origin_of
from harness.schema.run import RunOutcome, RunStatus

OnProgress = Callable[[int, Progress], None]
"""Called with the index of a run and how far it has come."""

OnOutcome = Callable[[int, RunOutcome], None]
"""Called with the index of a run and how it ended."""


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Where runs go, and what each of them gets."""

    n_processes: int = 1
    """At once on this machine."""
    address: str | None = None
    """Of a Ray cluster: 'auto', or 'host:port'; None: that of RAY_ADDRESS, else one is started on this machine."""
    n_shards: int = 1
    """Parts into which a run is cut whose predictor allows it; more than 1 takes several processes or machines."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What each run takes of a machine of a cluster: cpus, gpus, memory in GiB, or a resource of the cluster's own."""


class Executor(Protocol):
    """Carries out planned runs; built from `ExecutorSettings` without starting or calling anything."""

    def execute(
        self, runs: Sequence[PreparedRun], settings: Settings, on_progress: OnProgress, on_outcome: OnOutcome
    ) -> list[RunOutcome]:
        """Makes runs, in any order; returns their outcomes in the order of `runs`.

        An interrupt ends all work under way and passes through.

        Raises:
            HarnessError: nothing can be started at all.
        """
        ...


Build = Callable[[ExecutorSettings], Executor]

EXECUTORS: Registry[Build] = Registry("executor")

BUILTIN = {
    "serial": "harness.evaluation.executors.serial:SerialExecutor",
    "processes": "harness.evaluation.executors.processes:ProcessExecutor",
    "ray": "harness.evaluation.executors.cluster:RayExecutor",
}
"""Executors of this distribution, imported on first use."""

B = TypeVar("B", bound=Build)


def register_executor(name: str) -> Callable[[B], B]:
    """Returns a class decorator that registers an executor.

    Raises:
        ConfigError: the name is not allowed.
        DuplicateNameError: the name is taken.
    """

    def register(build: B) -> B:
        module, qualname = build.__module__, getattr(build, "__qualname__", name)
        EXECUTORS.add(name, build, origin=origin_of(module), target=f"{module}:{qualname}")
        return build

    return register


def build_executor(name: str, settings: ExecutorSettings) -> Executor:
    """Returns an executor, nothing started yet.

    Raises:
        UnknownNameError: no such executor.
        ConfigError: a setting that this executor cannot take.
    """
    from harness.evaluation.executors.sharding import ShardingExecutor

    executor = EXECUTORS.get(name)(settings)
    return ShardingExecutor(executor, settings.n_shards) if settings.n_shards > 1 else executor


def check_whole(name: str, settings: ExecutorSettings) -> None:
    """Checks that runs are not to be cut for an executor that makes one after another; raises ConfigError."""
    if settings.n_shards > 1:
        raise ConfigError(
            f"--shards {settings.n_shards} cuts runs for several processes, and executor {name!r} has one; add --jobs "
            f"{settings.n_shards}, or --executor ray"
        )


def check_local(name: str, settings: ExecutorSettings) -> None:
    """Checks that nothing is asked of an executor on this machine that takes a cluster; raises ConfigError."""
    if settings.address or settings.resources:
        raise ConfigError(
            f"--address, -R and --jobs-per-gpu are for a cluster, not for executor {name!r}; add --executor ray"
        )


def not_made(run: PreparedRun, status: RunStatus, detail: str) -> RunOutcome:
    """Returns the outcome of a run whose process or machine cannot speak for itself."""
    config = run.config
    return RunOutcome(
        config.run_id, config.predictor, config.dataset, config.split, config.seed, str(run.folder), status, 0.0, detail
    )


for _name, _target in BUILTIN.items():
    EXECUTORS.add_lazy(_name, _target, origin="erc-harness")
