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
from contextlib import redirect_stdout, suppress
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
from harness.store.layout import CHECKPOINTS, ERROR, FITTED, LOCK, LOG, MANIFEST, SEALED
from harness.store.run_log import RunLog
from harness.store.run_store import read_manifest
from harness.store.sealing import describe_data, seal_run

BATCH_DIALOGUES = 16
"""Dialogues handed at once to a predictor whose `predict_batch` returns a list; others get one after another.

It is the work in flight that a killed process repeats at most. A `predict_batch` that yields gets all at once: what it
has yielded for a dialogue is kept before it goes on."""


SUMS = f"fitted{SEAL}"
"""Beside what a predictor has saved: the checksums of it."""

AGAIN = ".rerun"
"""End of the name of the folder in which a sealed run is made once more."""


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
    """Makes a run, or finishes it, or finds it done.

    An exception of the predictor fails the run, not the caller: its traceback is kept in the run's folder, and what
    the run has done so far stays. Interrupts pass through.
    """
    begin = time.perf_counter()
    status: RunStatus = "done"
    detail = ""
    try:
        if is_sealed(run.folder) and not settings.rerun:
            status, detail = "skipped", check_sealed(run)
            if _has_traces(run.folder):  # of a process that was killed after it had sealed
                with suppress(StoreError), locked(run.folder / LOCK):
                    _remove_traces(run.folder)
        else:
            # What a predictor prints is not the answer of the command.
            with locked(run.folder / LOCK), redirect_stdout(sys.stderr):
                _finish_swap(run.folder)
                if settings.rerun and is_sealed(run.folder):
                    detail = _make_again(run, settings, report)
                elif not is_sealed(run.folder):  # else another process has sealed it meanwhile
                    detail = _make(run, settings, run.folder, report)
                _remove_traces(run.folder)
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


def _make(run: PreparedRun, settings: Settings, folder: Path, report: Report) -> str:
    """Does what the log in a folder does not have yet, then seals there; returns what the predictor remarks."""
    split = run.split
    dialogues = [d for d in split.dialogues if d.labelled()]
    predictor = run.build()

    def tell(progress: FitProgress) -> None:
        report(Progress("fit", progress.done, progress.total, progress.text))

    features = FeatureSource(run.dataset.splits.values(), split.name, settings.calls.download)
    checkpoints = folder / CHECKPOINTS
    predictor.use(Session(settings.calls, settings.data_dir, features=features, checkpoints=checkpoints, report=tell))
    facts = sha256_of(json.dumps(predictor.facts(), sort_keys=True).encode())  # a name may mean another model by now
    made_with = {"code": code_sha256(run.spec.build), "facts": facts, **provenance.versions()}
    log = RunLog(folder / LOG, run.config.config_id, made_with, datetime.now(UTC).isoformat(timespec="seconds"))
    try:
        if log.content.n_sessions == 1:  # nothing that an older code has learned may be taken up
            for name in (FITTED, CHECKPOINTS):
                shutil.rmtree(folder / name, ignore_errors=True)
        _check_log(dialogues, log)
        _check_learned(folder, _has_epochs(predictor))
        todo = [d for d in dialogues if d.id not in log.content.predictions]
        report(Progress("fit", 0, 0))
        _learn(predictor, run, folder, log)  # even if nothing is left to predict: what was learned tells facts
        for batch in _chunks(todo, type(predictor)):
            report(Progress("predict", len(log.content.predictions), len(dialogues)))
            for _ in _predict(predictor, batch, run, log):
                report(Progress("predict", len(log.content.predictions), len(dialogues)))
        report(Progress("predict", len(dialogues), len(dialogues)))
        oracle = _oracle(predictor, run, dialogues)
        _seal(run, folder, log, {**predictor.facts(), **oracle})
        return predictor.remark()
    finally:
        log.close()
        predictor.close()


def _make_again(run: PreparedRun, settings: Settings, report: Report) -> str:
    """Makes a sealed run once more beside itself, and takes its place only when it is whole; returns as `_make`."""
    folder = run.folder.with_name(f"{run.folder.name}{AGAIN}")
    folder.mkdir(exist_ok=True)
    remark = _make(run, settings, folder, report)
    _finish_swap(run.folder)
    return remark


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


def _check_log(dialogues: Sequence[Dialogue], log: RunLog) -> None:
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


def _learn(predictor: Predictor, run: PreparedRun, folder: Path, log: RunLog) -> None:
    """Lets a predictor learn; what an earlier session has learned is restored if it can be."""
    if type(predictor).fit is Predictor.fit:
        return
    fitted = folder / FITTED
    if fitted.is_dir() and predictor.can_resume():
        predictor.load(fitted)
        return
    begin = time.perf_counter()
    predictor.fit(run.dataset.split("train"), run.dataset.split("dev"))
    log.fitted(_seconds_since(begin))
    if predictor.can_resume():
        _save(predictor, fitted)


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
        {p.utterance_id: p for answer in content.predictions.values() for p in answer},
        config=run.config,
        predictor=run.predictor_record(facts),
        data=describe_data(run.dataset, run.split),
        times={
            "started": content.started,
            "fit_seconds": round(content.fit_seconds, 3),
            "predict_seconds": round(content.predict_seconds, 3),
            "n_sessions": content.n_sessions,
        },
        versions=provenance.versions(),
        hardware=provenance.hardware(),
    )


def is_sealed(folder: Path) -> bool:
    """Returns whether the run in a folder is finished."""
    return (folder / MANIFEST).exists()


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
    for name in (FITTED, f"{FITTED}.tmp", CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _chunks(dialogues: Sequence[Dialogue], build: type[Predictor]) -> Iterator[Sequence[Dialogue]]:
    if inspect.isgeneratorfunction(build.predict_batch):
        size = max(1, len(dialogues))
    else:
        size = 1 if build.predict_batch is Predictor.predict_batch else BATCH_DIALOGUES
    for start in range(0, len(dialogues), size):
        yield dialogues[start : start + size]
