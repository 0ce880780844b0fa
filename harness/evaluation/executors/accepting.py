"""What the driver of a cluster takes of what its machines answer.

A run must be the one that was asked for, sealed, with the hashes of its manifest, made by the same code of the
predictor. Sealed files that come back are checked in a folder apart before they take the run's place.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.data.writing import disk
from harness.errors import HarnessError
from harness.evaluation.executors.executor import not_made
from harness.evaluation.executors.node import Answer
from harness.evaluation.jobs import PreparedRun
from harness.evaluation.runner import check_sealed
from harness.evaluation.traces import move_sealed
from harness.schema.run import RunOutcome
from harness.store.atomic import write_atomic
from harness.store.layout import LOG, MANIFEST, SEALED

LATE_SECONDS = 60.0
"""A network file system may show a file of another machine so much later."""

POLL_SECONDS = 0.5
"""Between two looks for it."""


def accept(run: PreparedRun, answer: Answer | RunOutcome, results_dir: Path) -> RunOutcome:
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
