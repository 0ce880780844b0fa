"""Where runs are made: in this process, in several of this machine, or on the machines of a Ray cluster."""

from harness.evaluation.executors.executor import (
    EXECUTORS,
    Executor,
    ExecutorSettings,
    OnOutcome,
    OnProgress,
    build_executor,
    register_executor,
)

__all__ = [
    "EXECUTORS",
    "Executor",
    "ExecutorSettings",
    "OnOutcome",
    "OnProgress",
    "build_executor",
    "register_executor",
]
