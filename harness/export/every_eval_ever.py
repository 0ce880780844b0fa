"""A board as records of Every Eval Ever, EvalEval's shared schema of evaluation results: one JSON file a system.

Source: github.com/evaleval/every_eval_ever, eval.schema.json and instance_level_eval.schema.json, version 0.3.0 (MIT).
A record is a system on a dataset with every metric of the board. Its score is the mean over seeds, with the standard
error and the interval of the board; scores are fractions. Files lie as that project's datastore wants them:
data/<collection>/<developer>/<model>/<uuid>.json. The same runs give the same bytes: a record is dated by its newest
run, and its uuid is drawn from its names. What only the user can know, as who publishes, is said to be unknown.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from harness.data import DATASETS, Dataset
from harness.data.sources import SOURCES
from harness.evaluation.scoring import CALIBRATION, list_metrics
from harness.export.every_eval_ever_samples import encode_samples
from harness.export.jsonfile import stored
from harness.export.numbers import settle
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard
from harness.llm.server.address import OPENAI_HOST
from harness.metrics import NOT_FRACTIONS, Metric, get_metric, metric_title
from harness.schema.run import Manifest
from harness.store import RunStore, StoredRun

SCHEMA = "0.3.0"
"""Version of the schema."""

LIBRARY = "erc-harness"

METRIC_IDS = {
    "accuracy": "accuracy",
    "weighted_f1": "f1_weighted",
    "macro_f1": "f1_macro",
    "micro_f1": "f1_micro",
}
"""Global names of metrics; others get one in our name."""

UPPER = {"brier": 2.0, "nll": "Infinity"}
"""Largest value of a metric that is not a fraction."""

UNITS = {"brier": "squared error", "nll": "nats"}


def to_every_eval_ever(
    board: Leaderboard, store: RunStore, corpora: Mapping[str, Dataset]
) -> Iterator[tuple[str, bytes]]:
    """Yields the path and the content of every file, system by system.

    Args:
        board: what to export.
        store: has the runs of the board.
        corpora: by name; of those given, every prediction is written too, as samples beside the record.

    Raises:
        UnknownNameError: a run of the board is not in the store.
        StoreError: a stored file is missing or corrupt.
        IncompatibleRunsError: a corpus is not what the runs predicted.
    """
    headers = {header.dataset: header for header in board.datasets}
    for entry in board.entries:
        header = headers[entry.dataset]
        runs = [store.find(str(store.layout.root / path)) for path in entry.runs]
        record = _record(board, entry, header, runs)
        folder = f"data/{_collection(board)}/{_path_of(record['model_info']['id'])}"
        name = f"{folder}/{_uuid(board, entry)}"
        if entry.dataset in corpora:
            lines = encode_samples(record, header, runs, corpora[entry.dataset])
            record["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": f"{name}_samples.jsonl",
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(lines).hexdigest(),
                "total_rows": lines.count(b"\n"),
            }
            yield f"{name}_samples.jsonl", lines
        yield f"{name}.json", (json.dumps(stored(record), indent=1, allow_nan=False) + "\n").encode()


def _record(board: Leaderboard, entry: Entry, header: DatasetHeader, runs: list[StoredRun]) -> dict[str, Any]:
    manifest = runs[0].manifest
    times = [datetime.fromisoformat(run.manifest.times["started"]).timestamp() for run in runs]
    stamp = str(int(max(times)))
    model = _model(entry, manifest)
    evaluation = f"{header.dataset}.{header.split}"
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"{_collection(board)}/{evaluation}/{model['id']}/{entry.predictor}/{stamp}",
        "evaluation_timestamp": stamp,
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": f"{LIBRARY}, board {board.board}",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
            "additional_details": {
                "publisher": "whoever ran erc-harness, and is not known to it",
                "signature": header.signature,
            },
        },
        "eval_library": {"name": LIBRARY, "version": board.version, **_library(manifest)},
        "model_info": model,
        "evaluation_results": [
            _result(board, entry, header, manifest, metric, value, evaluation, stamp)
            for metric, value in sorted(entry.metrics.items(), key=lambda item: (item[0] != header.metric, item[0]))
            if math.isfinite(value)
        ],
    }


def _library(manifest: Manifest) -> dict[str, Any]:
    imported = manifest.predictor.imported
    if imported is None:
        return {}
    source = imported["from"]
    return {"additional_details": {"answers_by": f"{source} {manifest.versions.get(source, 'of unknown version')}"}}


def _result(
    board: Leaderboard,
    entry: Entry,
    header: DatasetHeader,
    manifest: Manifest,
    metric: str,
    value: float,
    evaluation: str,
    stamp: str,
) -> dict[str, Any]:
    neutral = manifest.data.neutral
    score: dict[str, Any] = {
        "score": value,
        "details": {
            "n_utterances": str(header.n_utterances),
            "n_dialogues": str(header.n_dialogues),
            "n_seeds": str(entry.n_seeds),
            "coverage": str(settle(entry.coverage)),
            "without_label": "counted as wrong",
        },
    }
    if metric == header.metric:
        score["uncertainty"] = _uncertainty(board, entry, header, get_metric(metric, header.labels, neutral))
        if entry.rank_low is not None:
            score["details"] |= {"rank": f"{entry.rank_low}-{entry.rank_high}", "letters": entry.letters}
    generation = _generation(manifest)
    return {
        "evaluation_result_id": f"{evaluation}.{metric}",
        "evaluation_name": evaluation,
        "source_data": _source_data(header),
        "evaluation_timestamp": stamp,
        "metric_config": _metric_config(metric, header.labels, neutral),
        "score_details": score,
        **({"generation_config": generation} if generation else {}),
    }


def _uncertainty(board: Leaderboard, entry: Entry, header: DatasetHeader, metric: Metric) -> dict[str, Any]:
    seeds = f" and {entry.n_seeds} seeds" if board.scope == "procedure" and entry.n_seeds > 1 else ""
    over = f"{header.n_clusters} {header.unit}s{seeds}"
    how = "jackknife" if metric.linearisation == "jackknife" else "linearisation"
    found: dict[str, Any] = {"num_samples": header.n_utterances}
    if math.isfinite(entry.se):
        found["standard_error"] = {"value": entry.se, "method": f"{how}, clustered over {over}"}
    if math.isfinite(entry.low) and math.isfinite(entry.high):
        found["confidence_interval"] = {
            "lower": entry.low,
            "upper": entry.high,
            "confidence_level": 1 - board.alpha,
            "method": f"t, over {over}",
        }
    return found


def _metric_config(name: str, labels: Sequence[str], neutral: str | None) -> dict[str, Any]:
    is_calibration = name in CALIBRATION
    about = list_metrics()[name] if is_calibration else get_metric(name, labels, neutral).description
    return {
        "evaluation_description": about,
        "metric_id": METRIC_IDS.get(name, f"{LIBRARY}.{name}"),
        "metric_name": metric_title(name),
        "metric_kind": name if is_calibration or name == "accuracy" else "f1",
        "metric_unit": UNITS[name] if name in NOT_FRACTIONS else "proportion",
        "lower_is_better": is_calibration,
        "score_type": "continuous",
        "min_score": 0.0,
        "max_score": UPPER.get(name, 1.0),
    }


def _source_data(header: DatasetHeader) -> dict[str, Any]:
    details = {
        "split": header.split,
        "fingerprint_sha256": header.fingerprint,
        "labels": json.dumps(header.labels, ensure_ascii=False),
        "n_utterances": str(header.n_utterances),
    }
    if header.dataset in DATASETS:
        card = DATASETS.get(header.dataset).card
        details |= {"title": card.title, "license": card.license, "released_by": card.source}
    place: dict[str, Any] = {"source_type": "other"}
    if header.dataset in SOURCES:
        place = {"source_type": "url", "url": [file.url for file in SOURCES[header.dataset].files]}
    return {"dataset_name": header.dataset, **place, "additional_details": details}


def _model(entry: Entry, manifest: Manifest) -> dict[str, Any]:
    """Returns the model: a language model that is asked as it is by its own name, every other system by ours."""
    made = manifest.predictor
    asked: Mapping[str, Any] = made.facts.get("model", {})
    own = made.name if "/" in made.name else f"{LIBRARY}/{made.name}"
    hub, is_openai = _hub_name(asked), asked.get("server") == OPENAI_HOST
    engine = "transformers" if asked.get("backend") == "transformers" or asked.get("model_type") == "hf" else None
    identity = hub or (f"openai/{asked['model']}" if is_openai else own)
    details = {
        "deployment_type": "externally_managed" if is_openai else "self_deployed" if engine or not asked else "unknown",
        "model_availability": "open_weights" if hub and engine else "closed_weights" if is_openai else "unknown",
        "system": made.label,
        "family": str(made.card["family"]),
        "context": entry.context,
        "modalities": ", ".join(entry.modalities),
        "trained_on": ", ".join(made.card["trained_on"]) or "nothing",
        "features": "; ".join(made.card.get("features", ())),
        "parameters": json.dumps(made.params, sort_keys=True, ensure_ascii=False),
        "registered_by": made.origin,
        "source": str(made.card.get("source", "")),
        "language_model": json.dumps(asked, sort_keys=True, ensure_ascii=False) if asked else "",
        "imported": json.dumps(made.imported, sort_keys=True, ensure_ascii=False) if made.imported else "",
        "runs": ", ".join(entry.runs),
    }
    info: dict[str, Any] = {"name": entry.name, "id": identity, "developer": identity.partition("/")[0]}
    if engine:
        version = manifest.versions.get(engine)
        info["inference_engine"] = {"name": engine, **({"version": version} if version else {})}
    return {**info, "additional_details": {key: value for key, value in details.items() if value}}


def _hub_name(asked: Mapping[str, Any]) -> str:
    """Returns OWNER/NAME of a model at a hub that is asked as it is; '' for everything else."""
    name = str(asked.get("model") or "")
    owner, slash, rest = name.partition("/")
    return name if owner and slash and rest and "/" not in rest and not asked.get("adapter") else ""


def _generation(manifest: Manifest) -> dict[str, Any]:
    """Returns how a language model was asked; {} for other systems."""
    made = manifest.predictor
    if "template" not in made.facts:
        return {}
    is_written = made.facts.get("answers") == "generate"
    keys = {"temperature": "temperature", "max_tokens": "max_new_tokens"} if is_written else {}
    arguments = {key: made.params.get(own) for key, own in keys.items()}
    template = made.facts["template"]
    details = {
        "answers": str(made.facts.get("answers", "")),
        "form": str(made.facts.get("form", "")),
        "prompt_template": str(template["name"]),
        "prompt_template_sha256": str(template["sha256"]),
    }
    return {
        "generation_args": {key: value for key, value in arguments.items() if value is not None},
        "additional_details": {key: value for key, value in details.items() if value},
    }


def _collection(board: Leaderboard) -> str:
    return f"{LIBRARY}-{board.board.replace('/', '_')}"


def _uuid(board: Leaderboard, entry: Entry) -> UUID:
    """Returns a random-looking uuid that the same system on the same board always has, so that a file is replaced."""
    names = json.dumps([LIBRARY, board.board, entry.dataset, entry.predictor, entry.title])
    return UUID(bytes=hashlib.sha256(names.encode()).digest()[:16], version=4)


def _path_of(model: str) -> str:
    """Returns the folders developer/model of a model, of characters that every file system has."""
    developer, _, name = model.partition("/")
    return "/".join(_portable(part) for part in (developer, name))


def _portable(part: str) -> str:
    kept = "".join("_" if c in '<>:"\\|?*/' or ord(c) < 32 else c for c in part).rstrip(". ")
    return kept or "_"
