"""Makes a run of what another harness has logged: its answers, read by our rules, sealed beside our own runs.

The manifest says from which file, and of which model by its name there; what was measured elsewhere and is not told
(time, hardware) is left out. All is checked before anything is written.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.bounded import open_regular
from harness.data import Dataset, Split
from harness.data.writing import locked
from harness.errors import ConfigError, DataError, StoreError
from harness.evaluation.scoring import score_table
from harness.llm.lm_eval.results import LoggedResults, find_results
from harness.llm.lm_eval.samples import ENDS, LoggedSamples, LogNormalisation, read_samples
from harness.predictors import PREDICTORS, PredictorCard
from harness.schema.run import PredictorRecord, RunConfig, RunOutcome, RunStatus
from harness.store import Layout, RunStore, StoredRun, provenance
from harness.store.layout import LOCK, MANIFEST
from harness.store.predictions import DialogueTable, tabulate_dialogues
from harness.store.run_store import read_manifest
from harness.store.sealing import describe_data, seal_run

LM_EVAL = "lm-eval"
"""Where runs can come from."""

PRINTED = {"weighted_f1": "weighted_f1", "macro_f1": "macro_f1", "accuracy": "acc"}
"""What lm-eval calls our metrics in exported tasks."""


def import_lm_eval(
    samples: Path,
    dataset: Dataset,
    split: str,
    name: str,
    layout: Layout,
    *,
    seed: int = 0,
    normalisation: LogNormalisation = "sum",
) -> RunOutcome:
    """Makes a run of the samples that lm-eval has logged of an exported task; a run made before is left as it is.

    Args:
        samples: samples_*.jsonl; results_*.json of the same time beside it tells of the model.
        dataset: the corpus that the task was exported from.
        split: its split.
        name: what boards call the row; no registered predictor.
        layout: the results folder.
        seed: tells several evaluations of one model apart, where answers are drawn.
        normalisation: of likelihoods, for the choice task.

    Raises:
        ConfigError: the name is taken, or not allowed.
        DataError, IncompatibleRunsError: as `read_samples`; or the scores are not those that lm-eval printed.
        StoreError: other samples were imported under this name and seed, or the folder cannot be written.
        UnknownNameError: no such split.
    """
    begin = time.perf_counter()
    part = dataset.split(split)
    if name in PREDICTORS:
        raise ConfigError(f"name {name!r} is that of a predictor; choose another, such as 'lm-eval/{name[:40]}'")
    logged, results = read_samples(samples, part, normalisation), find_results(samples)
    table = tabulate_dialogues(part, logged.predictions)
    if results is not None:
        _check_printed(table, part, results, ENDS[normalisation] if logged.answers == "choice" else "")
    predictor = _describe_predictor(name, samples, logged, results, normalisation)
    config = RunConfig(name, predictor.params, dataset.name, dataset.fingerprint, split, seed)
    folder = layout.run(dataset.name, split, name, config.run_id)
    _check_settings(layout, config)
    status: RunStatus = "done"
    with locked(folder / LOCK):
        if (folder / MANIFEST).exists():
            _check_same(StoredRun(folder, read_manifest(folder / MANIFEST)), predictor)
            status = "skipped"
        else:
            told = results.started if results is not None else ""
            seal_run(
                folder,
                part,
                logged.predictions,
                config=config,
                predictor=predictor,
                data=describe_data(dataset, part),
                times={
                    "started": told or datetime.now(UTC).isoformat(timespec="seconds"),
                    "fit_seconds": None,
                    "predict_seconds": None,
                    "n_sessions": 1,
                },
                versions=_versions(results),
                hardware={},
            )
    seconds = round(time.perf_counter() - begin, 3)
    return RunOutcome(config.run_id, name, dataset.name, split, seed, str(folder), status, seconds)


def _describe_predictor(
    name: str, samples: Path, logged: LoggedSamples, results: LoggedResults | None, normalisation: LogNormalisation
) -> PredictorRecord:
    """Returns what the manifest says of the system: which model, asked how, logged where."""
    origin, model = logged.origin, results.model if results is not None else None
    params: dict[str, Any] = {
        "model": model,
        "answers": logged.answers,
        **({"normalisation": normalisation} if logged.answers == "choice" else {}),
        "template": origin.template,
        "form": origin.form,
        "window": origin.window,
        "label_names": list(origin.shown),
    }
    card = PredictorCard(
        family="llm",
        context="none" if origin.window == 0 else "past",
        deterministic=logged.greedy,
        summary=f"Imported from {LM_EVAL}: {model or 'a model that is not told'}.",
    )
    imported: dict[str, Any] = {"from": LM_EVAL, "samples": _file(samples)}
    if results is not None:
        imported |= {"task": results.task, "results": _file(results.path), "scores": results.scores}
    facts = {
        "imported": imported,
        "model": {"backend": LM_EVAL, "model": model, **(results.about if results is not None else {})},
        "template": {"name": origin.template, "sha256": origin.template_sha256},
        "form": origin.form,
        "answers": f"choice:{normalisation}" if logged.answers == "choice" else "generate",
    }
    return PredictorRecord(
        name=name,
        origin=LM_EVAL,
        card=asdict(card),
        params_given=params,
        params=params,
        params_changed={},
        code_sha256="",
        facts=facts,
    )


def _file(path: Path) -> dict[str, str]:
    with open_regular(path) as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _versions(results: LoggedResults | None) -> dict[str, str]:
    """Returns what the answers were made with, as far as told, and what they were read with."""
    here = provenance.versions()
    told = results.versions if results is not None else {}
    return {"python": here["python"], **({"erc-harness": here["erc-harness"]} if "erc-harness" in here else {}), **told}


def _check_printed(table: DialogueTable, split: Split, results: LoggedResults, end: str) -> None:
    """Checks that the samples score what lm-eval printed of them."""
    ours: Mapping[str, float] = score_table(table, list(PRINTED), split.label_set.neutral)
    for metric, theirs in PRINTED.items():
        printed = results.scores.get(f"{theirs}{end}")
        if printed is None or not math.isclose(printed, ours[metric], rel_tol=0, abs_tol=1e-9):
            raise DataError.at(
                results.path,
                f"{theirs}{end} of {results.task!r} is {printed!r}, but the samples beside it give {ours[metric]!r}: "
                "they are not of one evaluation; give both files as lm-eval wrote them, or the samples alone",
            )


def _check_settings(layout: Layout, config: RunConfig) -> None:
    """Checks that no row of this name was made otherwise: two rows called alike cannot stand on one board."""
    for run in RunStore(layout).runs(config.dataset, config.split):
        made = run.manifest.predictor
        if made.name == config.predictor and not run.manifest.run_id.endswith(config.config_id):
            keys = [key for key in config.params if made.params.get(key) != config.params[key]] or ["train or dev data"]
            raise ConfigError(
                f"name {config.predictor!r} is taken by {run.path}, of other {', '.join(keys)}; choose another --name"
            )


def _check_same(stored: StoredRun, predictor: PredictorRecord) -> None:
    """Checks that a run made before is whole, and of the same samples."""
    stored.predictions()
    theirs, ours = (made.facts["imported"]["samples"]["sha256"] for made in (stored.manifest.predictor, predictor))
    if theirs != ours:
        raise StoreError(
            f"{stored.path} was imported from other samples (SHA-256 {theirs[:16]}, these {ours[:16]}); choose another "
            "--name or --seed, or delete that folder"
        )
