"""Several processes of this machine."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from harness.evaluation.executors.executor import (
    ExecutorSettings,
    OnOutcome,
    OnProgress,
    check_local,
    not_made,
    register_executor,
)
from harness.evaluation.executors.node import prepare_here
from harness.evaluation.jobs import PreparedRun, Settings
from harness.evaluation.runner import execute_run
from harness.llm.local.keeping import keep_last_model
from harness.schema.run import Job, RunOutcome

DIED = "its process died (killed, or out of memory); repeat the command to go on, perhaps with fewer --jobs"


@register_executor("processes")
class ProcessExecutor:
    """Makes runs in several processes of this machine.

    What the cards of predictors say that they take is for clusters: here `n_processes` of them share the machine.

    A process that dies (killed, out of memory) leaves its run incomplete, and another takes its place for the others;
    repeating the command goes on with it.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        """Takes no resources of a cluster; raises ConfigError."""
        check_local("processes", settings)
        self._n_processes = settings.n_processes

    def execute(
        self, runs: Sequence[PreparedRun], settings: Settings, on_progress: OnProgress, on_outcome: OnOutcome
    ) -> list[RunOutcome]:
        """Makes runs in spawned processes; as `Executor.execute`."""
        outcomes: dict[int, RunOutcome] = {}
        context = multiprocessing.get_context("spawn")
        with context.Manager() as manager, ThreadPoolExecutor(self._n_processes) as watchers:
            others = set(multiprocessing.active_children())
            queue: Any = manager.Queue()
            listener = Thread(target=_forward, args=(queue, on_progress), daemon=True)
            listener.start()
            pools: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()  # of one process each: a death is that of one run

            def make(index: int) -> RunOutcome:
                try:
                    pool = pools.get_nowait()
                except Empty:
                    pool = ProcessPoolExecutor(1, context, initializer=_set_up)
                try:
                    outcome = pool.submit(_work, index, runs[index].job, settings, queue).result()
                except BrokenProcessPool:
                    pool.shutdown()
                    return not_made(runs[index], "incomplete", DIED)
                pools.put(pool)
                return outcome

            futures = {watchers.submit(make, index): index for index in range(len(runs))}
            try:
                for future in as_completed(futures):
                    index = futures[future]
                    outcomes[index] = future.result()
                    on_outcome(index, outcomes[index])
            except BaseException:
                watchers.shutdown(wait=False, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
                raise
            finally:
                watchers.shutdown()
                while not pools.empty():
                    pools.get().shutdown()
                queue.put(None)
                listener.join()
        return [outcomes[index] for index in range(len(runs))]


def _set_up() -> None:
    """Lets an interrupt end a worker without a traceback: the parent speaks for all, and the log has what was done.

    A worker has nothing to say on stdout: what a predictor prints goes to stderr. It keeps a language model loaded.
    """
    sys.stdout = sys.stderr
    keep_last_model()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _work(index: int, job: Job, settings: Settings, queue: Any) -> RunOutcome:
    """Makes one run in a worker process."""
    return execute_run(prepare_here(job, settings), settings, lambda progress: queue.put((index, progress)))


def _forward(queue: Any, on_progress: OnProgress) -> None:
    """Passes progress from the workers on until None comes."""
    while (message := queue.get()) is not None:
        on_progress(*message)
