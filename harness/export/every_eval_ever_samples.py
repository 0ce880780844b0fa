"""Predictions as instance-level records of Every Eval Ever: one line an utterance and seed.

Text and gold labels of a corpus that may not be passed on stay out; whether a prediction is right is said of every one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.data import Dataset
from harness.errors import IncompatibleRunsError
from harness.leaderboard.leaderboard import DatasetHeader
from harness.schema import Dialogue, Generation, Prediction, Utterance
from harness.store import StoredRun

WITHHELD = "(the text of this corpus may not be passed on)"

LINKED = "accuracy"
"""The metric that is the mean of these scores."""


def encode_samples(
    record: Mapping[str, Any], header: DatasetHeader, runs: Sequence[StoredRun], corpus: Dataset
) -> bytes:
    """Returns the lines that belong to the record of a system.

    Raises:
        IncompatibleRunsError: the corpus is not what the runs predicted.
        StoreError: a stored file is missing or corrupt.
        UnknownNameError: the corpus has no such split.
    """
    split = corpus.split(header.split)
    if split.fingerprint != header.fingerprint:
        raise IncompatibleRunsError(
            f"corpus {corpus.name!r}, split {split.name!r}, has fingerprint {split.fingerprint!r}, and the runs "
            f"predicted {header.fingerprint!r}; get the release that they were made on, or leave out --instances"
        )
    results = {result["evaluation_result_id"] for result in record["evaluation_results"]}
    linked = f"{header.dataset}.{header.split}.{LINKED}"
    common = {
        "schema_version": record["schema_version"],
        "evaluation_id": record["evaluation_id"],
        "model_id": record["model_info"]["id"],
        "evaluation_name": f"{header.dataset}.{header.split}",
        **({"evaluation_result_id": linked} if linked in results else {}),
        "interaction_type": "single_turn",
    }
    rows = (
        {**common, **_sample(run, dialogue, utterance, prediction, generations.get(utterance.id), corpus)}
        for run in runs
        for predictions, generations in [(run.predictions(), run.generations())]
        for dialogue, utterance in _targets(split.dialogues)
        for prediction in [predictions[utterance.id]]
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _targets(dialogues: Sequence[Dialogue]) -> Iterator[tuple[Dialogue, Utterance]]:
    return ((dialogue, u) for dialogue in dialogues for u in dialogue.utterances if u.label is not None)


def _sample(
    run: StoredRun,
    dialogue: Dialogue,
    utterance: Utterance,
    prediction: Prediction,
    generation: Generation | None,
    corpus: Dataset,
) -> dict[str, Any]:
    is_open, label = corpus.card.redistributable, prediction.label
    raw, reference = (utterance.text, [utterance.label]) if is_open else (WITHHELD, [])
    told = generation or Generation("", "", "")
    tokens = (told.n_prompt_tokens, told.n_completion_tokens)
    sample: dict[str, Any] = {
        "sample_id": utterance.id,
        "sample_hash": _hash(raw, reference) if is_open else None,
        "input": {"raw": raw, "reference": reference, "choices": list(corpus.card.label_set.labels)},
        "output": {"raw": [label] if label is not None and generation is None else []},  # answers are not stored
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw" if generation is None else "an answer that is not stored",
                "extracted_value": label,
                "extraction_method": told.rule or "the predicted label as it is",
                "is_terminal": True,
            }
        ]
        if label is not None
        else [],
        "evaluation": {"score": float(label == utterance.label), "is_correct": label == utterance.label},
        "error": None if prediction.status == "ok" else prediction.status,
        "metadata": {
            "dialogue": dialogue.id,
            "run": run.manifest.run_id,
            "seed": str(run.manifest.seed),
        },
    }
    if tokens[0] is not None and tokens[1] is not None:
        sample["token_usage"] = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
    if told.seconds is not None:
        sample["performance"] = {"latency_ms": 1000 * told.seconds}
    return sample


def _hash(raw: str, reference: Sequence[str | None]) -> str:
    """Source: every_eval_ever, the recipe by which its converters let samples meet across systems."""
    document = json.dumps({"raw": raw, "reference": list(reference)}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()
