"""What a machine of a cluster does with a job that it is sent. Knows nothing of who sends it."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.writing import locked
from harness.errors import HarnessError
from harness.evaluation.jobs import PreparedRun, Settings, prepare
from harness.evaluation.progress import Progress, Report
from harness.evaluation.runner import execute_run
from harness.llm.local.keeping import let_go
from harness.predictors.plugins import load_plugins
from harness.predictors.prompted import PromptedPredictor
from harness.schema.run import Job, RunOutcome
from harness.store.layout import LOCK, LOG, SEALED

REPORT_SECONDS = 0.2
"""Between two reports of one run at least: a cluster has many."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a command was typed, so that it means the same on another machine."""

    folder: Path
    """Relative paths begin there."""
    environment: Mapping[str, str]
    """Variables ERC_*: folders of corpora, caches and weights; a key among them goes to every machine too."""
    mark: Path
    """A file in the results folder: whoever sees it writes into that very folder."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a job on a machine."""

    machine: str
    """Its name."""
    outcome: RunOutcome | None = None
    """None if the run could not begin."""
    error: str = ""
    """Why it could not."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Of the sealed run, or the log of the shard, by name; {} where the results folder is shared."""


def work(job: str, settings: Settings, origin: Origin, attempt: int, report: Report) -> Answer:
    """Makes one run from its JSON.

    Args:
        job: as `Job.to_json` gives it.
        settings: of the command.
        origin: where it was typed.
        attempt: 1 for the first; later ones wait until the one before, if it still lives, lets go of the run.
        report: takes the progress.
    """
    machine = platform.node()
    try:
        os.environ.update(origin.environment)
        if origin.folder.is_dir():
            os.chdir(origin.folder)
        run = prepare_here(Job.from_json(job), settings)
        if attempt > 1:
            with locked(run.folder / LOCK, wait=True):
                pass
        outcome = execute_run(run, settings, _seldom(report))
    except HarnessError as error:
        return Answer(machine, error=str(error))
    is_whole = run.job.shard is None
    if origin.mark.exists() or (is_whole and outcome.status not in ("done", "skipped")):
        return Answer(machine, outcome)
    paths = [run.folder / name for name in (SEALED if is_whole else (LOG,)) if (run.folder / name).exists()]
    answer = Answer(machine, outcome, files={path.name: path.read_bytes() for path in paths})
    if not is_whole:  # the driver keeps it; a later shard of this name is of other dialogues
        shutil.rmtree(run.folder)
    return answer


def prepare_here(job: Job, settings: Settings) -> PreparedRun:
    """Returns a job ready to run in a worker, which keeps a language model as long as it is asked for one.

    Raises:
        HarnessError: as `prepare`.
    """
    load_plugins(settings.plugins)
    run = prepare(job, settings)
    if not issubclass(run.spec.build, PromptedPredictor):
        let_go()
    return run


def _seldom(report: Report) -> Report:
    """Returns a report that drops what comes too soon after the last one of the same phase."""
    last: tuple[str, float] = ("", 0.0)

    def tell(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if progress.phase != last[0] or now - last[1] >= REPORT_SECONDS:
            last = (progress.phase, now)
            report(progress)

    return tell
