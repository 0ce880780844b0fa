"""Progress of several runs on stderr: bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from harness.cli.output import clean, note
from harness.evaluation.jobs import PreparedRun
from harness.evaluation.progress import Progress
from harness.schema.run import RunOutcome, row_label

NOTE_SECONDS = 30.0
"""Between two lines about learning, where there are no bars."""


class RunDisplay:
    """Shows how far runs have come; use as a context manager."""

    def __init__(self, runs: Sequence[PreparedRun], quiet: bool) -> None:
        """Prepares the display.

        Args:
            runs: in the order of the indices that the callbacks get.
            quiet: show nothing but failures.
        """
        self._names = [
            clean(f"{row_label(run.spec.name, run.job.params)} on {run.dataset.name}, seed {run.job.seed}")
            for run in runs
        ]
        self._quiet = quiet
        self._bars: Any = None
        self._tasks: dict[int, Any] = {}
        self._told: dict[int, float] = {}
        """When a line about a run was last written, where there are no bars."""
        self._ended: set[int] = set()

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                TimeRemainingColumn(), console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def on_progress(self, index: int, progress: Progress) -> None:
        """Shows the progress of one run; a report that comes after its outcome is dropped."""
        if self._quiet or index in self._ended:
            return
        phase = "learning" if progress.phase == "fit" else "predicting"
        if progress.text:
            phase += f", {clean(progress.text)}"
        if self._bars is not None:
            if index not in self._tasks:
                self._tasks[index] = self._bars.add_task("")
            description = f"{self._names[index]}: {phase}"
            total = progress.total or None
            self._bars.update(self._tasks[index], completed=progress.done, total=total, description=description)
            return
        where = f"[{index + 1}/{len(self._names)}] {self._names[index]}"
        if index not in self._told:
            note(f"{where}: started")
        elif progress.phase == "fit" and time.monotonic() - self._told[index] >= NOTE_SECONDS:
            note(f"{where}: {phase}, step {progress.done} of {progress.total}")
        else:
            return
        self._told[index] = time.monotonic()

    def on_outcome(self, index: int, outcome: RunOutcome) -> None:
        """Shows how one run ended."""
        self._ended.add(index)
        if self._bars is not None and index in self._tasks:
            self._bars.remove_task(self._tasks[index])
        if self._quiet and outcome.status not in ("failed", "incomplete"):
            return
        if outcome.status == "skipped" and not outcome.detail:  # the summary counts them
            return
        took = "" if outcome.status == "skipped" else f" in {outcome.seconds:.1f} s"
        detail = f": {outcome.detail}" if outcome.detail else ""
        note(f"[{index + 1}/{len(self._names)}] {self._names[index]}: {outcome.status}{took}{detail}")
