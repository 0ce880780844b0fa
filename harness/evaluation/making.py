"""A run under way: locked, with its log open; it learns, predicts dialogue by dialogue into the log, and is sealed."""

from __future__ import annotations

import inspect
import itertools
import json
import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.data.writing import locked
from harness.errors import PredictionError, StoreError
from harness.evaluation.jobs import PreparedRun, Settings, code_sha256
from harness.evaluation.learned import check_learned, save_learned
from harness.evaluation.oracle import best_on_target
from harness.evaluation.progress import Progress, Report
from harness.evaluation.traces import finish_swap, remove_traces
from harness.features import FeatureSource
from harness.predictors import Predictor
from harness.predictors.answers import check_answers
from harness.predictors.session import FitProgress, Session
from harness.schema import Dialogue
from harness.store import provenance
from harness.store.atomic import sha256_of
from harness.store.layout import CHECKPOINTS, FITTED, LOCK, LOG, SHARDS, is_sealed, making_folder
from harness.store.run_log import RunLog
from harness.store.sealing import describe_data, seal_run

BATCH_DIALOGUES = 16
"""Dialogues handed at once to a predictor whose `predict_batch` returns a list; others get one after another.

It is the work in flight that a killed process repeats at most. A `predict_batch` that yields gets all at once: what it
has yielded for a dialogue is kept before it goes on."""


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
            save_learned(predictor, fitted)

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
            finish_swap(run.folder)
            remove_traces(run.folder)
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
        finish_swap(run.folder)
        if is_sealed(run.folder) and not settings.rerun:
            remove_traces(run.folder)
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
        with closing(predictor), closing(log):
            if log.content.n_sessions == 1:  # nothing that an older code has learned may be taken up
                for name in (FITTED, CHECKPOINTS):
                    shutil.rmtree(folder / name, ignore_errors=True)
            for shard in sorted(folder.glob(f"{SHARDS}/*/")):
                take_in(shard, log)
            check_log(run.dialogues, log)
            check_learned(folder, _has_epochs(predictor))
            yield BegunRun(run, folder, predictor, log)


def take_in(shard: Path, log: RunLog) -> None:
    """Moves what is in the folder of a shard to the log of its run; raises StoreError, also while somebody is at it."""
    with locked(shard / LOCK):
        if (shard / LOG).exists():
            log.take_in(shard / LOG)
            (shard / LOG).unlink()


def check_log(dialogues: Sequence[Dialogue], log: RunLog) -> None:
    """Checks that logged predictions are for the targets of their dialogue; raises StoreError."""
    for dialogue in dialogues:
        logged = log.content.predictions.get(dialogue.id)
        targets = [dialogue.utterances[i].id for i in dialogue.labelled()]
        if logged is not None and [p.utterance_id for p in logged] != targets:
            raise StoreError(f"the log of dialogue {dialogue.id!r} is corrupt; delete {log.path} and run again")


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


def _chunks(dialogues: Sequence[Dialogue], build: type[Predictor]) -> Iterator[Sequence[Dialogue]]:
    if inspect.isgeneratorfunction(build.predict_batch):
        size = max(1, len(dialogues))
    else:
        size = 1 if build.predict_batch is Predictor.predict_batch else BATCH_DIALOGUES
    for start in range(0, len(dialogues), size):
        yield dialogues[start : start + size]
