"""Makes one run: learn, predict dialogue by dialogue into a log, seal. A killed run goes on where its log ends."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout, suppress

from harness.data.writing import locked
from harness.errors import CallsStoppedError, HarnessError, StoreError
from harness.evaluation.jobs import PreparedRun, Settings, code_sha256
from harness.evaluation.making import begun
from harness.evaluation.progress import Report
from harness.evaluation.traces import has_traces, remove_traces
from harness.redaction import hide_secrets
from harness.schema.run import RunOutcome, RunStatus
from harness.store import StoredRun
from harness.store.atomic import write_atomic
from harness.store.layout import ERROR, LOCK, MANIFEST, is_sealed
from harness.store.run_store import read_manifest


def execute_run(run: PreparedRun, settings: Settings, report: Report) -> RunOutcome:
    """Makes a run, or finishes it, or finds it done; of a shard, the log that the run will take in.

    An exception of the predictor fails the run, not the caller: its traceback is kept in the run's folder, and what
    the run has done so far stays. Interrupts pass through.
    """

    def make() -> tuple[RunStatus, str]:
        if is_sealed(run.folder) and not settings.rerun:
            detail = check_sealed(run)
            if has_traces(run.folder):  # of a process that was killed after it had sealed
                with suppress(StoreError), locked(run.folder / LOCK):
                    remove_traces(run.folder)
            return "skipped", detail
        with begun(run, settings, report) as begin:
            if begin is None:
                return "done", ""
            begin.predict(report)
            return "done", begin.complete()

    return outcome_of(run, make)


def outcome_of(run: PreparedRun, make: Callable[[], tuple[RunStatus, str]]) -> RunOutcome:
    """Returns what comes of a run when something is done for it that returns a status and a detail, or raises."""
    begin = time.perf_counter()
    status: RunStatus
    try:
        with redirect_stdout(sys.stderr):  # what a predictor prints is not the answer of the command
            status, detail = make()
    except CallsStoppedError as error:
        status, detail = "incomplete", str(error)
    except HarnessError as error:
        status, detail = "failed", str(error)
    except (Exception, SystemExit) as error:  # the predictor is foreign code: anything may come out of it
        where = f"the traceback is in {run.folder / ERROR}"
        try:
            write_atomic(run.folder / ERROR, hide_secrets(traceback.format_exc()).encode(errors="replace"))
        except StoreError as full:
            where = str(full)
        status, detail = "failed", f"{type(error).__name__}: {error}; {where}"
    config = run.config
    return RunOutcome(
        config.run_id, config.predictor, config.dataset, config.split, config.seed, str(run.folder), status,
        round(time.perf_counter() - begin, 3), hide_secrets(detail),
    )  # fmt: skip


def check_sealed(run: PreparedRun) -> str:
    """Returns what to know about a sealed run, after checking that its files are those sealed; raises StoreError."""
    stored = StoredRun(run.folder, read_manifest(run.folder / MANIFEST))
    stored.dialogues()
    stored.predictions()
    if stored.manifest.predictor.code_sha256 != code_sha256(run.spec.build):
        return f"the code of {run.spec.name!r} has changed since; add --rerun to make this run again"
    return ""
