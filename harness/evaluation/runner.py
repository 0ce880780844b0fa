"""Makes one run: learn, predict dialogue by dialogue into a log, seal. A killed run goes on where its log ends."""

from __future__ import annotations

import inspect
import itertools
import json
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from harness.data.damage import SEAL, find_damage, seal, set_aside
from harness.data.writing import disk, locked
from harness.errors import CallsStoppedError, HarnessError, PredictionError, StoreError
from harness.evaluation.jobs import PreparedRun, Settings, code_sha256
from harness.evaluation.oracle import best_on_target
from harness.features import FeatureSource
from harness.predictors import Predictor
from harness.predictors.answers import check_answers
from harness.predictors.session import FitProgress, Session
from harness.redaction import hide_secrets
from harness.schema import Dialogue
from harness.schema.run import RunOutcome, RunStatus
from harness.store import StoredRun, provenance
from harness.store.atomic import sha256_of, write_atomic
from harness.store.layout import (
    AGAIN,
    CHECKPOINTS,
    ERROR,
    FITTED,
    LOCK,
    LOG,
    MANIFEST,
    SEALED,
    SHARDS,
    is_sealed,
    making_folder,
)
from harness.store.run_log import RunLog
from harness.store.run_store import read_manifest
from harness.store.sealing import describe_data, seal_run

BATCH_DIALOGUES = 16
"""Dialogues handed at once to a predictor whose `predict_batch` returns a list; others get one after another.

It is the work in flight that a killed process repeats at most. A `predict_batch` that yields gets all at once: what it
has yielded for a dialogue is kept before it goes on."""


SUMS = f"fitted{SEAL}"
"""Beside what a predictor has saved: the checksums of it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    phase: Literal["fit", "predict"]
    done: int
    """Dialogues predicted, or steps of learning taken."""
    total: int
    """Dialogues to predict, or steps to take; 0: unknown."""
    text: str = ""
    """How learning goes, in a few words."""


Report = Callable[[Progress], None]


def execute_run(run: PreparedRun, settings: Settings, report: Report) -> RunOutcome:
    """Makes a run, or finishes it, or finds it done; of a shard, the log that the run will take in.

    An exception of the predictor fails the run, not the caller: its traceback is kept in the run's folder, and what
    the run has done so far stays. Interrupts pass through.
    """

    def make() -> tuple[RunStatus, str]:
        if is_sealed(run.folder) and not settings.rerun:
            detail = check_sealed(run)
            if _has_traces(run.folder):  # of a process that was killed after it had sealed
                with suppress(StoreError), locked(run.folder / LOCK):
                    _remove_traces(run.folder)
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


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run under way: no other process touches it."""

    run: PreparedRun
    folder: Path
    """Where it is made."""
    predictor: Predictor
    log: RunLog

    def missing(self) -> list[Dialogue]:
        """Returns the dialogues that are not predicted yet."""
        return [d for d in self.run.dialogues if d.id not in self.log.content.predictions]

    def learn(self) -> None:
        """Lets the predictor learn; what an earlier session has learned is restored if it can be."""
        predictor, dataset = self.predictor, self.run.dataset
        if type(predictor).fit is Predictor.fit:
            return
        fitted = self.folder / FITTED
        if fitted.is_dir() and predictor.can_resume():
            predictor.load(fitted)
            return
        begin = time.perf_counter()
        predictor.fit(dataset.split("train"), dataset.split("dev"))
        self.log.fitted(_seconds_since(begin))
        if predictor.can_resume():
            _save(predictor, fitted)

    def predict(self, report: Report) -> None:
        """Predicts what is missing, each dialogue into the log as it comes."""
        todo, n_all = self.missing(), len(self.run.dialogues)
        report(Progress("fit", 0, 0))
        self.learn()  # even if nothing is left to predict: what was learned tells facts
        n_done = n_all - len(todo)
        for batch in _chunks(todo, type(self.predictor)):
            report(Progress("predict", n_done, n_all))
            for _ in _predict(self.predictor, batch, self.run, self.log):
                n_done += 1
                report(Progress("predict", n_done, n_all))
        report(Progress("predict", n_all, n_all))

    def complete(self) -> str:
        """Seals a run of which nothing is missing, and takes away what only an unfinished one needs.

        Of a shard the log is all. Returns what the predictor remarks.
        """
        run = self.run
        if run.job.shard is None:
            oracle = _oracle(self.predictor, run, run.dialogues)
            _seal(run, self.folder, self.log, {**self.predictor.facts(), **oracle})
            _finish_swap(run.folder)
            _remove_traces(run.folder)
        return self.predictor.remark()


@contextmanager
def begun(run: PreparedRun, settings: Settings, report: Report) -> Iterator[BegunRun | None]:
    """Locks a run and opens its log, with all that earlier sessions and their shards have done.

    None if another process has sealed the run meanwhile.

    Raises:
        StoreError: another process is at it, or its log is corrupt.
        HarnessError: the predictor cannot take the run.
    """
    with locked(run.folder / LOCK):
        _finish_swap(run.folder)
        if is_sealed(run.folder) and not settings.rerun:
            _remove_traces(run.folder)
            yield None
            return
        folder = making_folder(run.folder, settings.rerun)
        folder.mkdir(exist_ok=True)
        predictor = run.build()

        def tell(progress: FitProgress) -> None:
            report(Progress("fit", progress.done, progress.total, progress.text))

        features = FeatureSource(run.dataset.splits.values(), run.split.name, settings.calls.download)
        checkpoints = folder / CHECKPOINTS
        session = Session(
            settings.calls, settings.data_dir, run.split.label_set,
            features=features, checkpoints=checkpoints, report=tell,
        )  # fmt: skip
        predictor.use(session)
        # A name may mean another model by now.
        facts = sha256_of(json.dumps(predictor.facts(), sort_keys=True).encode())
        made_with = {"code": code_sha256(run.spec.build), "facts": facts, **provenance.versions()}
        log = RunLog(folder / LOG, run.config.config_id, made_with, datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            if log.content.n_sessions == 1:  # nothing that an older code has learned may be taken up
                for name in (FITTED, CHECKPOINTS):
                    shutil.rmtree(folder / name, ignore_errors=True)
            for shard in sorted(folder.glob(f"{SHARDS}/*/")):
                take_in(shard, log)
            check_log(run.dialogues, log)
            _check_learned(folder, _has_epochs(predictor))
            yield BegunRun(run, folder, predictor, log)
        finally:
            log.close()
            predictor.close()


def take_in(shard: Path, log: RunLog) -> None:
    """Moves what is in the folder of a shard to the log of its run; raises StoreError, also while somebody is at it."""
    with locked(shard / LOCK):
        if (shard / LOG).exists():
            log.take_in(shard / LOG)
            (shard / LOG).unlink()


def _finish_swap(folder: Path) -> None:
    """Puts a run that was made again, and is whole, in the place of the old one, wherever a kill has left it."""
    again = folder.with_name(f"{folder.name}{AGAIN}")
    if is_sealed(again):
        move_sealed(again, folder)
        shutil.rmtree(again)


def move_sealed(source: Path, folder: Path) -> None:
    """Moves the files of a sealed run to its folder, in the place of an older one there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in SEALED:
        if (source / name).exists():
            (source / name).replace(folder / name)


def check_log(dialogues: Sequence[Dialogue], log: RunLog) -> None:
    """Checks that logged predictions are for the targets of their dialogue; raises StoreError."""
    for dialogue in dialogues:
        logged = log.content.predictions.get(dialogue.id)
        targets = [dialogue.utterances[i].id for i in dialogue.labelled()]
        if logged is not None and [p.utterance_id for p in logged] != targets:
            raise StoreError(f"the log of dialogue {dialogue.id!r} is corrupt; delete {log.path} and run again")


def _check_learned(folder: Path, has_epochs: bool) -> None:
    """Moves what was learned aside if it is not what was written, so that it is learned anew."""
    damage = {name: find_damage(folder / name) for name in (FITTED, CHECKPOINTS)}
    if (folder / FITTED).is_dir() and not (folder / FITTED / SUMS).is_file():
        damage[FITTED] = f"it has no {SUMS}"
    for name, why in damage.items():
        if why is not None:
            set_aside(folder / name, why)
    if damage[CHECKPOINTS] is not None and has_epochs:  # they tell of every epoch only if all are made again
        shutil.rmtree(folder / FITTED, ignore_errors=True)


def _save(predictor: Predictor, folder: Path) -> None:
    """Saves what was learned so that the folder is there whole or not at all."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    with disk(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        predictor.save(temporary)
        seal(temporary / SUMS, (path for path in temporary.rglob("*") if path.is_file()))
        temporary.rename(folder)


def _predict(predictor: Predictor, batch: Sequence[Dialogue], run: PreparedRun, log: RunLog) -> Iterator[None]:
    """Asks for the predictions of some dialogues; yields after each dialogue that is answered and kept."""
    views_of = {d.id: tuple(d.views(run.card.context, run.split.label_set)) for d in batch}
    views = [view for own in views_of.values() for view in own]
    begin = time.perf_counter()
    given = predictor.predict_batch(views)
    if not isinstance(given, Iterator):
        given = [list(answer) for answer in given]
        check_answers(views, given)
    answers = iter(given)
    try:
        for dialogue_id, own in views_of.items():
            answer = [list(predictions) for predictions in itertools.islice(answers, len(own))]
            check_answers(own, answer)
            log.predicted(dialogue_id, [p for predictions in answer for p in predictions], _seconds_since(begin))
            begin = time.perf_counter()
            yield
        if next(answers, None) is not None:
            raise PredictionError(f"predict_batch yielded more answers than the {len(views)} views it got")
    finally:
        if isinstance(answers, Generator):  # calls under way end with the run, whatever ends it
            answers.close()


def _has_epochs(predictor: Predictor) -> bool:
    return type(predictor).predict_epochs is not Predictor.predict_epochs


def _oracle(predictor: Predictor, run: PreparedRun, dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    """Returns {"oracle": ...}: what choosing the epoch on the split to predict would have given; {} without epochs.

    It is no result: it shows how much papers gain that choose so. The predictor gets no gold, here neither.
    """
    if not _has_epochs(predictor):
        return {}
    views = [view for d in dialogues for view in d.views(run.card.context, run.split.label_set)]
    found = best_on_target(predictor.predict_epochs(views), run.split, run.dataset.card.metric)
    return {} if found is None else {"oracle": found}


def _seconds_since(begin: float) -> float:
    return round(time.perf_counter() - begin, 6)


def _seal(run: PreparedRun, folder: Path, log: RunLog, facts: Mapping[str, Any]) -> None:
    content = log.content
    seal_run(
        folder,
        run.split,
        {p.utterance_id: p for d in run.dialogues for p in content.predictions[d.id]},
        config=run.config,
        predictor=run.predictor_record(facts),
        data=describe_data(run.dataset, run.split),
        times={
            "started": content.started,
            "fit_seconds": round(content.fit_seconds, 3),
            "predict_seconds": round(sum(content.seconds.values()), 3),
            "n_sessions": content.n_sessions,
        },
        versions=provenance.versions(),
        hardware=provenance.hardware(),
    )


def check_sealed(run: PreparedRun) -> str:
    """Returns what to know about a sealed run, after checking that its files are those sealed; raises StoreError."""
    stored = StoredRun(run.folder, read_manifest(run.folder / MANIFEST))
    stored.dialogues()
    stored.predictions()
    if stored.manifest.predictor.code_sha256 != code_sha256(run.spec.build):
        return f"the code of {run.spec.name!r} has changed since; add --rerun to make this run again"
    return ""


def _has_traces(folder: Path) -> bool:
    return any(path.name not in SEALED and path.suffix != ".damaged" for path in folder.iterdir())


def _remove_traces(folder: Path) -> None:
    """Removes what only an unfinished run needs."""
    for path in (folder / LOG, folder / ERROR, *folder.glob(".*.tmp"), *folder.glob("*.part")):
        path.unlink(missing_ok=True)
    for name in (FITTED, f"{FITTED}.tmp", CHECKPOINTS, SHARDS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _chunks(dialogues: Sequence[Dialogue], build: type[Predictor]) -> Iterator[Sequence[Dialogue]]:
    if inspect.isgeneratorfunction(build.predict_batch):
        size = max(1, len(dialogues))
    else:
        size = 1 if build.predict_batch is Predictor.predict_batch else BATCH_DIALOGUES
    for start in range(0, len(dialogues), size):
        yield dialogues[start : start + size]
