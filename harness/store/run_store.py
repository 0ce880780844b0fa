"""Sealed runs: finding, reading, checking. A run is a folder with a manifest; everything else is unfinished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UnknownNameError
from harness.schema import Generation, Prediction
from harness.schema.run import Manifest, RunConfig
from harness.store.atomic import sha256_of
from harness.store.generations import decode_generations
from harness.store.layout import DIALOGUES, GENERATIONS, MANIFEST, PREDICTIONS, RUN_ID, Layout
from harness.store.predictions import DialogueTable, decode_dialogues, decode_predictions


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A sealed run on disk."""

    path: Path
    manifest: Manifest

    def predictions(self) -> dict[str, Prediction]:
        """Returns the predictions by utterance id, in the order of the split.

        Raises:
            StoreError: the file is missing, or is not the one that was sealed.
        """
        return decode_predictions(self._read(PREDICTIONS), self.manifest.data.labels)

    def generations(self) -> dict[str, Generation]:
        """Returns how a language model came to its answers, by utterance id; empty for other predictors.

        Raises as `predictions` does.
        """
        return decode_generations(self._read(GENERATIONS)) if GENERATIONS in self.manifest.files else {}

    def dialogues(self) -> DialogueTable:
        """Returns the counts by dialogue; raises as `predictions` does."""
        return decode_dialogues(self._read(DIALOGUES), self.manifest.data.labels)

    def check_seal(self) -> None:
        """Raises StoreError if a file of the run is missing, or is not the one that was sealed."""
        for name in self.manifest.files:
            self._read(name)

    def _read(self, name: str) -> bytes:
        path = self.path / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}; {_remedy(self.path)}") from error
        if sha256_of(content) != self.manifest.files.get(name):
            raise StoreError(f"{path} is not the file that was sealed: its SHA-256 differs; {_remedy(self.path)}")
        return content


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
        manifest: Manifest = _manifest_type().validate_json(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; {_remedy(path.parent)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"{path} is corrupt: {where + ': ' if where else ''}{first['msg']}; {_remedy(path.parent)}"
        ) from error
    _check_place(manifest, path)
    return manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """Returns a manifest as indented JSON with a final newline."""
    return (json.dumps(asdict(manifest), indent=1, ensure_ascii=False, default=dict) + "\n").encode()


@cache
def _manifest_type() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def _check_place(manifest: Manifest, path: Path) -> None:
    """Checks that a run lies where its configuration belongs: a copy or an edit must not count as another run."""
    made, data = manifest.predictor, manifest.data
    config = RunConfig(made.name, made.params, data.dataset, data.dataset_fingerprint, data.split, manifest.seed)
    expected = (*data.dataset.split("/"), data.split, *made.name.split("/"), config.run_id)
    if path.parent.resolve().parts[-len(expected) :] != expected or manifest.run_id != config.run_id:
        raise StoreError(
            f"{path} does not belong here: it describes the run {'/'.join(expected)}; {_remedy(path.parent)}"
        )


def _manifests(top: Path) -> Iterator[Path]:
    """Yields the manifests of sealed runs below a folder, sorted by path."""
    paths = (path for path in top.rglob(MANIFEST) if RUN_ID.fullmatch(path.parent.name))
    yield from sorted(paths)


def _remedy(folder: Path) -> str:
    return f"restore it, or delete the folder {folder} and run again"
