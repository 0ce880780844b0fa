"""Sealed runs: finding, reading, checking. A run is a folder with a manifest; everything else is unfinished."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.bounded import MAX_DOCUMENT, read_bounded
from harness.errors import ConfigError, StoreError, UnknownNameError
from harness.registry.registry import NAME
from harness.schema import STATUSES, Generation, LabelSet, Prediction
from harness.schema.run import MAX_SEED, Manifest, RunConfig
from harness.store.atomic import sha256_of
from harness.store.generations import decode_generations
from harness.store.layout import DIALOGUES, GENERATIONS, MANIFEST, PREDICTIONS, RUN_ID, Layout

if TYPE_CHECKING:
    from harness.store.predictions import DialogueTable

T = TypeVar("T")

MAX_MANIFEST = 16 << 20
"""Bytes; what a predictor says of itself is the largest part."""


_OWN_SUM = re.compile(rb'(\n "sha256": ")[0-9a-f]*"(?=\n}\n\Z)')
"""Where a manifest has its own SHA-256: in its last line."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A sealed run on disk."""

    path: Path
    manifest: Manifest

    def predictions(self) -> dict[str, Prediction]:
        """Returns the predictions by utterance id, in the order of the split.

        Raises:
            StoreError: the file is missing or corrupt, is not the one that was sealed, or not what the manifest says.
        """
        from harness.store.predictions import decode_predictions

        predictions = self._read(PREDICTIONS, lambda content: decode_predictions(content, self.manifest.data.labels))
        self._check_count(PREDICTIONS, "predictions", len(predictions), self.manifest.data.n_utterances)
        return predictions

    def generations(self) -> dict[str, Generation]:
        """Returns how a language model came to its answers, by utterance id; empty for other predictors.

        Raises as `predictions` does.
        """
        return self._read(GENERATIONS, decode_generations) if GENERATIONS in self.manifest.files else {}

    def dialogues(self) -> DialogueTable:
        """Returns the counts by dialogue; raises as `predictions` does."""
        from harness.store.predictions import decode_dialogues  # late: what only lists runs needs no numpy

        table = self._read(DIALOGUES, lambda content: decode_dialogues(content, self.manifest.data.labels))
        self._check_count(DIALOGUES, "dialogues", len(table.attributes), self.manifest.data.n_dialogues)
        counted = int(table.confusion.counts.sum())
        self._check_count(DIALOGUES, "counted utterances", counted, self.manifest.data.n_utterances)
        return table

    def check_seal(self) -> None:
        """Raises StoreError if a file of the run is missing, or is not the one that was sealed."""
        for name in self.manifest.files:
            self._read(name, bytes)

    def _read(self, name: str, decode: Callable[[bytes], T]) -> T:
        path = self.path / name
        try:
            content = read_bounded(path, MAX_DOCUMENT)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}; {_remedy(self.path)}") from error
        if sha256_of(content) != self.manifest.files.get(name):
            raise StoreError(f"{path} is not the file that was sealed: its SHA-256 differs; {_remedy(self.path)}")
        try:
            return decode(content)
        except (ValueError, TypeError) as error:  # whoever wrote the manifest has sealed it so
            raise StoreError(f"{path} is corrupt: {error}; {_remedy(self.path)}") from error

    def _check_count(self, name: str, what: str, found: int, expected: int) -> None:
        if found != expected:
            raise StoreError(
                f"{self.path / name} has {found} {what}; its manifest says {expected}; {_remedy(self.path)}"
            )


@dataclass(frozen=True, slots=True)
class RunStore:
    """The sealed runs under one results folder."""

    layout: Layout

    def runs(self, dataset: str | None = None, split: str | None = None) -> list[StoredRun]:
        """Returns sealed runs, sorted by path; all of them unless a dataset, or a dataset and a split, is named.

        Raises:
            StoreError: a manifest is corrupt.
        """
        top = self.layout.runs
        if dataset is not None:
            top = self.layout.split(dataset, split) if split is not None else top / dataset
        return [StoredRun(path.parent, read_manifest(path)) for path in _manifests(top)]

    def folders(self) -> list[Path]:
        """Returns the folders of all sealed runs, sorted, without reading them."""
        return [path.parent for path in _manifests(self.layout.runs)]

    def find(self, reference: str) -> StoredRun:
        """Returns the run at a path, absolute or below the results folder, or with a run id.

        Raises:
            UnknownNameError: no run answers to the reference.
            StoreError: its manifest is corrupt.
        """
        for folder in (Path(reference), self.layout.root / reference, self.layout.runs / reference):
            if (folder / MANIFEST).is_file():
                return StoredRun(folder, read_manifest(folder / MANIFEST))
        paths = self.folders()
        for path in paths:
            if path.name == reference:
                return StoredRun(path, read_manifest(path / MANIFEST))
        raise UnknownNameError.of("run", reference, {path.name for path in paths}, "type: erc-harness list runs")


def read_manifest(path: Path) -> Manifest:
    """Returns a manifest.

    Raises:
        StoreError: it cannot be read or does not follow the format.
    """
    from pydantic import ValidationError

    try:
        content = read_bounded(path, MAX_MANIFEST)
        manifest: Manifest = _manifest_type().validate_json(content)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; {_remedy(path.parent)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"{path} is corrupt: {where + ': ' if where else ''}{first['msg']}; {_remedy(path.parent)}"
        ) from error
    if manifest.sha256 and sha256_of(_OWN_SUM.sub(rb'\g<1>"', content)) != manifest.sha256:
        raise StoreError(f"{path} is not what was written: its SHA-256 differs; {_remedy(path.parent)}")
    fault = _fault(manifest)
    if fault is not None:
        raise StoreError(f"{path} is corrupt: {fault}; {_remedy(path.parent)}")
    _check_place(manifest, path)
    return manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """Returns a manifest as indented JSON with a final newline, which vouches for itself."""
    record = {**asdict(manifest), "sha256": ""}
    content = (json.dumps(record, indent=1, ensure_ascii=False, default=dict) + "\n").encode()
    return _OWN_SUM.sub(rb'\g<1>%b"' % sha256_of(content).encode(), content)


@cache
def _manifest_type() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def _fault(manifest: Manifest) -> str | None:
    """Returns what a manifest says that no run can be; None if nothing."""
    card, data = manifest.predictor.card, manifest.data
    for name in (data.dataset, manifest.predictor.name):
        if not NAME.fullmatch(name):
            return f"{name!r} is no name of a dataset or predictor"
    if not 0 <= manifest.seed <= MAX_SEED:
        return f"its seed is no whole number from 0 to {MAX_SEED}"
    if not (isinstance(card.get("context"), str) and isinstance(card.get("deterministic"), bool)):
        return "the predictor's card has no context, or does not say whether it is deterministic"
    modalities = card.get("modalities")
    if not isinstance(modalities, list) or not all(isinstance(modality, str) for modality in modalities):
        return "the modalities of the predictor's card are no list of texts"
    statuses = manifest.statuses
    if not set(statuses) <= {*STATUSES} or min(statuses.values(), default=0) < 0:
        return f"it counts the statuses {dict(statuses)}; expected {', '.join(STATUSES)}"
    if not manifest.times.keys() >= {"started", "fit_seconds", "predict_seconds"}:
        return "its times are incomplete"
    if not isinstance(manifest.predictor.facts.get("model", {}), Mapping):
        return "what it tells of a model is no table"
    imported = manifest.predictor.facts.get("imported")
    if imported is not None and not _tells_origin(imported, manifest.predictor.facts):
        return "it does not tell where it was imported from"
    try:
        LabelSet(data.labels, neutral=data.neutral)
    except ConfigError as error:
        return str(error)
    return None


def _tells_origin(imported: object, facts: Mapping[str, Any]) -> bool:
    """Returns whether an imported run tells of harness, model and samples what is shown of them."""
    if not isinstance(imported, Mapping) or not isinstance(imported.get("from"), str):
        return False
    samples = imported.get("samples")
    return isinstance(samples, Mapping) and {"name", "sha256"} <= samples.keys() and "model" in facts.get("model", {})


def _check_place(manifest: Manifest, path: Path) -> None:
    """Checks that a run lies where its configuration belongs: a copy or an edit must not count as another run."""
    made, data = manifest.predictor, manifest.data
    config = RunConfig(made.name, made.params, data.dataset, data.dataset_fingerprint, data.split, manifest.seed)
    run_id = config.run_id
    expected = (*data.dataset.split("/"), data.split, *made.name.split("/"), run_id)
    if path.parent.resolve().parts[-len(expected) :] != expected or manifest.run_id != run_id:
        raise StoreError(
            f"{path} does not belong here: it describes the run {'/'.join(expected)}; {_remedy(path.parent)}"
        )


def _manifests(top: Path) -> Iterator[Path]:
    """Yields the manifests of sealed runs below a folder, sorted by path."""
    found = (Path(folder, MANIFEST) for folder, _, names in os.walk(top) if MANIFEST in names)
    yield from sorted(path for path in found if RUN_ID.fullmatch(path.parent.name))


def _remedy(folder: Path) -> str:
    return f"restore it, or delete the folder {folder} and run again"
