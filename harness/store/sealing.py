"""Seals a run: writes its tables, then the manifest with their hashes, so that a folder with a manifest is whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data import Dataset, Split
from harness.schema import STATUSES, Prediction
from harness.schema.run import DataRecord, Manifest, PredictorRecord, RunConfig
from harness.store import provenance
from harness.store.atomic import sha256_of, write_atomic
from harness.store.generations import encode_generations
from harness.store.layout import DIALOGUES, GENERATIONS, MANIFEST, PREDICTIONS
from harness.store.predictions import encode_dialogues, encode_predictions, tabulate_dialogues
from harness.store.run_store import encode_manifest


def seal_run(
    folder: Path,
    split: Split,
    predictions: Mapping[str, Prediction],
    *,
    config: RunConfig,
    predictor: PredictorRecord,
    data: DataRecord,
    times: Mapping[str, Any],
    versions: Mapping[str, str],
    hardware: Mapping[str, Any],
) -> None:
    """Writes a finished run to its folder.

    Args:
        folder: of the run.
        split: what was predicted.
        predictions: one for each target, by utterance id.
        config: what identifies the run.
        predictor: what made it.
        data: the split, as the manifest tells of it.
        times: see `Manifest.times`.
        versions: see `Manifest.versions`.
        hardware: see `Manifest.hardware`.

    Raises:
        StoreError: the folder cannot be written.
    """
    files = {
        PREDICTIONS: encode_predictions(split, predictions),
        DIALOGUES: encode_dialogues(tabulate_dialogues(split, predictions)),
    }
    if any(prediction.generation for prediction in predictions.values()):
        files[GENERATIONS] = encode_generations(predictions.values())
    for name, content in files.items():
        write_atomic(folder / name, content)
    statuses = Counter(p.status for p in predictions.values())
    manifest = Manifest(
        format=1,
        run_id=config.run_id,
        seed=config.seed,
        predictor=predictor,
        data=data,
        statuses={status: statuses[status] for status in STATUSES},
        versions=versions,
        git=provenance.git_state(),
        hardware=hardware,
        times=times,
        files={name: sha256_of(content) for name, content in files.items()},
    )
    write_atomic(folder / MANIFEST, encode_manifest(manifest))


def describe_data(dataset: Dataset, split: Split) -> DataRecord:
    """Returns what the manifest says of the data."""
    return DataRecord(
        dataset=dataset.name,
        split=split.name,
        fingerprint=split.fingerprint,
        dataset_fingerprint=dataset.fingerprint,
        labels=split.label_set.labels,
        neutral=split.label_set.neutral,
        n_dialogues=sum(bool(d.labelled()) for d in split.dialogues),
        n_utterances=len(split.gold),
        metric=dataset.card.metric,
        notes=dataset.card.table_notes,
    )
