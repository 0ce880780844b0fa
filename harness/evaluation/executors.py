"""Carries out planned runs, one after another or in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import Any

from harness.evaluation.jobs import PreparedRun, Settings, prepare
from harness.evaluation.runner import Progress, execute_run
from harness.predictors.plugins import load_plugins
from harness.schema.run import Job, RunOutcome

OnProgress = Callable[[int, Progress], None]
"""Called with the index of a run and how far it has come."""

OnOutcome = Callable[[int, RunOutcome], None]
"""Called with the index of a run and how it ended."""


def execute_serially(
    runs: Sequence[PreparedRun], settings: Settings, on_progress: OnProgress, on_outcome: OnOutcome
) -> list[RunOutcome]:
    """Makes runs one after another in this process; returns their outcomes in order."""
    outcomes = []
    for index, run in enumerate(runs):
        outcome = execute_run(run, settings, lambda progress, index=index: on_progress(index, progress))  # type: ignore[misc]
        on_outcome(index, outcome)
        outcomes.append(outcome)
    return outcomes


def execute_in_processes(
    runs: Sequence[PreparedRun], settings: Settings, n_jobs: int, on_progress: OnProgress, on_outcome: OnOutcome
) -> list[RunOutcome]:
    """Makes runs in `n_jobs` processes; returns their outcomes in the order of `runs`.

    A process that dies (killed, out of memory) leaves its runs incomplete; repeating the command goes on with them.
    """
    outcomes: dict[int, RunOutcome] = {}
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(n_jobs, context, initializer=_die_quietly) as pool:
        others = set(multiprocessing.active_children())
        queue: Any = manager.Queue()
        listener = Thread(target=_forward, args=(queue, on_progress), daemon=True)
        listener.start()
        futures: dict[Future[RunOutcome], int] = {
            pool.submit(_work, index, run.job, settings, queue): index for index, run in enumerate(runs)
        }
        try:
            for future in as_completed(futures):
                index = futures[future]
                try:
                    outcomes[index] = future.result()
                except BrokenProcessPool:
                    outcomes[index] = _incomplete(runs[index])
                on_outcome(index, outcomes[index])
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            queue.put(None)
            listener.join()
    return [outcomes[index] for index in range(len(runs))]


def _die_quietly() -> None:
    """Lets an interrupt end a worker without a traceback: the parent speaks for all, and the log has what was done.

    A worker has nothing to say on stdout: what a predictor prints goes to stderr.
    """
    sys.stdout = sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _work(index: int, job: Job, settings: Settings, queue: Any) -> RunOutcome:
    """Makes one run in a worker process."""
    load_plugins(settings.plugins)
    return execute_run(prepare(job, settings), settings, lambda progress: queue.put((index, progress)))


def _forward(queue: Any, on_progress: OnProgress) -> None:
    """Passes progress from the workers on until None comes."""
    while (message := queue.get()) is not None:
        on_progress(*message)


def _incomplete(run: PreparedRun) -> RunOutcome:
    config = run.config
    return RunOutcome(
        config.run_id, config.predictor, config.dataset, config.split, config.seed, str(run.folder), "incomplete", 0.0,
        "its process died (killed, or out of memory); repeat the command to go on, perhaps with fewer --jobs",
    )  # fmt: skip
