"""The two tables of a sealed run, as Parquet: predictions by utterance, and counts by dialogue. Never corpus text.

predictions.parquet, one row per target utterance in the order of the split:
    dialogue_id, utterance_id   string
    label                       string, null unless status is "ok"
    status                      string: ok, unparsed, refused, truncated or failed
    scores                      list of float32 (n_labels), probabilities in the order of the label set; null without

dialogues.parquet, one row per dialogue in the order of the split:
    dialogue_id                 string
    attributes                  string, JSON object: coarser units such as {"episode": "s08_e21"}
    confusion                   list of int32 (n_labels * (n_labels + 1)): gold by predicted, row by row; the last
                                column of a row = no label
    n_scored, n_unscored, squared_error, log_loss, bin_count, bin_confidence, bin_correct
                                calibration sums, see `harness.metrics.DialogueCalibration`; absent without any scores
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from harness.bounded import parse_json
from harness.data import Split
from harness.metrics import DialogueCalibration, DialogueConfusion, tally, tally_calibration
from harness.metrics.calibration import N_BINS
from harness.schema import Prediction
from harness.store.parquet import from_parquet, to_parquet


@dataclass(frozen=True, eq=False)
class DialogueTable:
    """Counts by dialogue, from which every score follows."""

    confusion: DialogueConfusion
    calibration: DialogueCalibration | None
    """None if the predictor gave no probabilities."""
    attributes: tuple[Mapping[str, str], ...]
    """Coarser units of each dialogue."""


def encode_predictions(split: Split, predictions: Mapping[str, Prediction]) -> bytes:
    """Returns predictions.parquet for one prediction per target, keyed by utterance id."""
    import pyarrow as pa

    labels = split.label_set.labels
    rows = [(d.id, predictions[u.id]) for d in split.dialogues for u in d.utterances if u.label is not None]
    text = pa.dictionary(pa.int32(), pa.string())
    table = pa.table(
        {
            "dialogue_id": pa.array([d for d, _ in rows]).cast(text),
            "utterance_id": pa.array([p.utterance_id for _, p in rows], pa.string()),
            "label": pa.array([p.label for _, p in rows], pa.string()).cast(text),
            "status": pa.array([p.status for _, p in rows], pa.string()).cast(text),
            "scores": pa.array([_score_row(p, labels) for _, p in rows], pa.list_(pa.float32(), len(labels))),
        }
    )
    return to_parquet(table)


def decode_predictions(content: bytes, labels: Sequence[str]) -> dict[str, Prediction]:
    """Returns the predictions of a predictions.parquet, keyed by utterance id, in order.

    Raises:
        ValueError: it is no such file, or a prediction in it is not valid.
    """
    import pyarrow as pa

    text, scores = pa.string(), pa.list_(pa.float32(), len(labels))
    columns = {"dialogue_id": text, "utterance_id": text, "label": text, "status": text, "scores": scores}
    rows = from_parquet(content, columns).to_pylist()
    predictions = {
        row["utterance_id"]: Prediction(
            row["utterance_id"],
            row["label"],
            None if row["scores"] is None else dict(zip(labels, row["scores"], strict=True)),
            row["status"],
        )
        for row in rows
    }
    unknown = {p.label for p in predictions.values()} - {*labels, None}
    if unknown or len(predictions) < len(rows) or None in predictions:
        raise ValueError(f"label {unknown.pop()!r} is unknown" if unknown else "utterance ids are missing or repeated")
    return predictions


def tabulate_dialogues(split: Split, predictions: Mapping[str, Prediction]) -> DialogueTable:
    """Returns counts by dialogue of one prediction per target; the only place where predictions meet gold."""
    label_set = split.label_set
    dialogues = [d for d in split.dialogues if d.labelled()]
    rows = [(i, u) for i, d in enumerate(dialogues) for u in d.utterances if u.label is not None]
    index = np.array([i for i, _ in rows], dtype=np.int64)
    gold = np.array([label_set.index(u.label) for _, u in rows if u.label is not None], dtype=np.int64)
    given = [predictions[u.id] for _, u in rows]
    predicted = np.array([-1 if p.label is None else label_set.index(p.label) for p in given], dtype=np.int64)
    counts = tally(index, gold, predicted, len(dialogues), len(label_set))
    calibration = None
    if any(p.scores is not None for p in given):
        empty = [np.nan] * len(label_set)
        scores = np.array([_score_row(p, label_set.labels) or empty for p in given], dtype=np.float32)
        calibration = tally_calibration(index, gold, scores, len(dialogues))
    confusion = DialogueConfusion(tuple(d.id for d in dialogues), label_set.labels, counts)
    return DialogueTable(confusion, calibration, tuple(dict(d.attributes) for d in dialogues))


def encode_dialogues(table: DialogueTable) -> bytes:
    """Returns dialogues.parquet."""
    import pyarrow as pa

    counts = table.confusion.counts
    columns: dict[str, Any] = {
        "dialogue_id": pa.array(table.confusion.dialogue_ids, pa.string()),
        "attributes": pa.array([json.dumps(dict(a), sort_keys=True) for a in table.attributes], pa.string()),
        "confusion": _fixed_lists(counts.reshape(len(counts), -1), np.int32),
    }
    if table.calibration is not None:
        for field in fields(table.calibration):
            values = getattr(table.calibration, field.name)
            columns[field.name] = _fixed_lists(values, np.float64) if values.ndim == 2 else pa.array(values)
    return to_parquet(pa.table(columns))


def decode_dialogues(content: bytes, labels: tuple[str, ...]) -> DialogueTable:
    """Returns the counts of a dialogues.parquet; raises ValueError if it is no such file."""
    import pyarrow as pa

    n_labels = len(labels)
    columns = {
        "dialogue_id": pa.string(),
        "attributes": pa.string(),
        "confusion": pa.list_(pa.int32(), n_labels * (n_labels + 1)),
    }
    bins = dict.fromkeys(("bin_count", "bin_confidence", "bin_correct"), pa.list_(pa.float64(), N_BINS))
    sums = {field.name: bins.get(field.name, pa.float64()) for field in fields(DialogueCalibration)}
    table = from_parquet(content, columns, sums)
    if any(column.null_count for column in table.columns):
        raise ValueError("values are missing")
    counts = _matrix(table["confusion"].combine_chunks()).astype(np.int64).reshape(-1, n_labels, n_labels + 1)
    calibration = None
    if "n_scored" in table.column_names:
        parts = [table[field.name].combine_chunks() for field in fields(DialogueCalibration)]
        calibration = DialogueCalibration(*(_matrix(c) if c.type.num_fields else _vector(c) for c in parts))
    if (counts < 0).any():
        raise ValueError("counts are negative")
    confusion = DialogueConfusion(_texts(table["dialogue_id"]), labels, counts)
    texts = _texts(table["attributes"])
    attributes = {text: _attributes(text) for text in set(texts)}  # few differ
    return DialogueTable(confusion, calibration, tuple(attributes[text] for text in texts))


def _texts(column: Any) -> tuple[str, ...]:
    """Returns a column of texts, each of which is there once, whatever number of runs holds it."""
    found: list[str] = []
    for chunk in column.chunks:
        known = [sys.intern(text) for text in chunk.dictionary.to_pylist()]
        found += map(known.__getitem__, _vector(chunk.indices).tolist())
    return tuple(found)


def _attributes(text: str) -> dict[str, str]:
    attributes = parse_json(text)
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise ValueError(f"attributes {text[:80]!r} of a dialogue are no object of texts")
    return attributes


def _score_row(prediction: Prediction, labels: Sequence[str]) -> list[float] | None:
    return None if prediction.scores is None else [prediction.scores[label] for label in labels]


def _fixed_lists(matrix: np.ndarray[Any, Any], dtype: type[np.generic]) -> Any:
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(dtype).ravel()), matrix.shape[1])


def _matrix(array: Any) -> np.ndarray[Any, Any]:
    return _vector(array.flatten()).reshape(len(array), -1)


def _vector(array: Any) -> np.ndarray[Any, Any]:
    """Returns a numeric Arrow array as numpy, without `to_numpy`, which would import pandas."""
    return np.asarray(np.from_dlpack(array))
