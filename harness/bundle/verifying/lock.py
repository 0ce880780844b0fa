"""`results.lock`: SHA-256 of every file of a bundle, and of what lies outside it: data, prompts, predictions, code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .difference import Difference
from .evidence import Document
from .scores import Array

LOCK = "results.lock"
PREDICTIONS, DIALOGUES = "predictions.parquet", "dialogues.parquet"
"""The files of a run that its manifest seals."""


def sha256_of(content: bytes) -> str:
    """Returns the SHA-256 of bytes, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_counts(counts: Array) -> str:
    """Returns the SHA-256 of counts: little-endian int64, in the order of their axes."""
    return sha256_of(np.ascontiguousarray(counts, "<i8").tobytes())


def lock_runs(runs: Mapping[str, Document], counts: Mapping[str, Array]) -> Document:
    """Returns the hashes of each run: of its sealed files, of the code that made it, and of its counts."""
    return {
        path: {
            "predictions": run["files"].get(PREDICTIONS, ""),
            "dialogues": run["files"].get(DIALOGUES, ""),
            "code": run["predictor"]["code_sha256"],
            "counts": sha256_of_counts(counts[path]),
        }
        for path, run in runs.items()
    }


def lock_data(runs: Mapping[str, Document]) -> Document:
    """Returns split and fingerprints by dataset; the runs of one dataset agree on them."""
    names = ("split", "fingerprint", "dataset_fingerprint")
    return {run["data"]["dataset"]: {name: run["data"][name] for name in names} for run in runs.values()}


def lock_prompts(runs: Mapping[str, Document]) -> Document:
    """Returns the SHA-256 of each prompt template by its name."""
    templates = [
        run["predictor"]["facts"]["template"] for run in runs.values() if "template" in run["predictor"]["facts"]
    ]
    return {template["name"]: template["sha256"] for template in templates}


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(folder: Path, lock: Document) -> Iterator[Difference]:
    """Yields the files that are not those that were locked."""
    for name, digest in lock["files"].items():
        path = folder / name
        inside = path.resolve().is_relative_to(folder.resolve())
        found = _sha256_of_file(path) if inside and path.is_file() else "no file"
        if found != digest:
            yield Difference(name, "SHA-256", digest, found)


def check_runs(lock: Document, runs: Mapping[str, Document], counts: Mapping[str, Array]) -> Iterator[Difference]:
    """Yields the hashes of data, prompts, predictions and code that are not those of the runs."""
    for part, expected in (
        ("data", lock_data(runs)),
        ("prompts", lock_prompts(runs)),
        ("runs", lock_runs(runs, counts)),
    ):
        yield from _compare(f"{part}", expected, lock[part])
    for path, run in runs.items():
        for name, value in lock["data"].get(run["data"]["dataset"], {}).items():
            if run["data"][name] != value:
                yield Difference("runs.json", f"{path}, {name} of the data", value, run["data"][name])


def _compare(place: str, expected: object, found: object) -> Iterator[Difference]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in {**expected, **found}:
            yield from _compare(f"{place}, {key}", expected.get(key, "nothing"), found.get(key, "nothing"))
    elif expected != found:
        yield Difference(LOCK, place, str(expected), str(found))
