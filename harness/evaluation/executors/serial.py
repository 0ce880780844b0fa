"""One run after another, in this process."""

from __future__ import annotations

from collections.abc import Sequence

from harness.evaluation.executors.executor import (
    ExecutorSettings,
    OnOutcome,
    OnProgress,
    check_local,
    check_whole,
    register_executor,
)
from harness.evaluation.jobs import PreparedRun, Settings
from harness.evaluation.runner import execute_run
from harness.schema.run import RunOutcome


@register_executor("serial")
class SerialExecutor:
    """Makes runs one after another in this process."""

    def __init__(self, settings: ExecutorSettings) -> None:
        """Takes no resources of a cluster, and no shards; raises ConfigError."""
        check_local("serial", settings)
        check_whole("serial", settings)

    def execute(
        self, runs: Sequence[PreparedRun], settings: Settings, on_progress: OnProgress, on_outcome: OnOutcome
    ) -> list[RunOutcome]:
        """Makes runs in order; as `Executor.execute`."""
        outcomes = []
        for index, run in enumerate(runs):
            outcome = execute_run(run, settings, lambda progress, index=index: on_progress(index, progress))  # type: ignore[misc]
            on_outcome(index, outcome)
            outcomes.append(outcome)
        return outcomes
