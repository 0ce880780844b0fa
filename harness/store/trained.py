"""Weights that took long to train, kept by what they depend on: runs that share a training share its result.

<root>/<name>-<8 hex>/        the weights, README.md, training_results.json, checksums: whole, or not there
<root>/<name>-<8 hex>.part/   checkpoints, while it is trained
<root>/<name>-<8 hex>.lock    held by who trains it

Never below `results/`: weights are large, and may have learned texts by heart that are not to be passed on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bounded import MAX_SETTINGS, parse_json, read_bounded
from harness.data.cache_folder import cache_folder
from harness.data.damage import ASIDE, FOLDER_SEAL, is_whole, keep_whole, seal_folder
from harness.data.writing import locked
from harness.store.atomic import sha256_of

RECORD = "training_results.json"
"""What a training was and what came of it; by its name no part of what the weights are called by."""


@dataclass(frozen=True, slots=True)
class TrainedPlace:
    """Where the result of one training belongs."""

    folder: Path
    """The weights."""

    @property
    def part(self) -> Path:
        """Folder of what is there before the training has ended."""
        return self.folder.with_name(f"{self.folder.name}.part")

    @property
    def is_filled(self) -> bool:
        """Whether the training has ended."""
        return (self.folder / FOLDER_SEAL).is_file()

    @property
    def is_whole(self) -> bool:
        """Whether it has, and the weights are what was written: all of them are read. Raises StoreError."""
        return is_whole(self.folder)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Holds the place against other processes; waits for one that holds it already. Damaged weights go aside.

        Raises:
            StoreError: the folder cannot be written.
        """
        with locked(self.folder.with_name(f"{self.folder.name}.lock"), wait=True):
            keep_whole(self.folder)
            yield
            if self.is_filled:
                shutil.rmtree(self.part, ignore_errors=True)

    def fill(self, write: Callable[[Path], None], record: Mapping[str, Any]) -> None:
        """Puts weights and the record of their training here, at once."""
        whole = self.part / "whole"
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir(parents=True)
        write(whole)
        (whole / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        seal_folder(whole)
        for path in (path for path in whole.rglob("*") if path.is_file()):
            with path.open("rb+") as file:  # the bytes before the name: a place is filled whole, or not
                os.fsync(file.fileno())
        shutil.rmtree(self.folder, ignore_errors=True)
        whole.rename(self.folder)


@dataclass(frozen=True, slots=True)
class TrainedStore:
    """The trainings under one folder."""

    root: Path

    @classmethod
    def at(cls, folder: Path | None) -> TrainedStore:
        """Returns the store in a folder; None: in the user's cache folder."""
        return cls(folder if folder is not None else cache_folder() / "trained")

    def place(self, name: str, depends_on: Mapping[str, Any]) -> TrainedPlace:
        """Returns where the result of a training belongs.

        Args:
            name: for people, of characters that folders may have.
            depends_on: all that the result depends on, as JSON values.
        """
        canonical = json.dumps(depends_on, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return TrainedPlace(self.root / f"{name}-{sha256_of(canonical.encode())[:8]}")

    def records(self) -> dict[Path, dict[str, Any]]:
        """Returns the records of trainings that have ended, by folder, sorted; unreadable ones are left out."""
        found = {}
        for path in sorted(self.root.glob(f"*/{RECORD}")):
            record = read_record(path.parent)
            if record is not None and TrainedPlace(path.parent).is_filled and path.parent.suffix != ASIDE:
                found[path.parent] = record
        return found


def read_record(folder: Path) -> dict[str, Any] | None:
    """Returns the record beside weights; None where there is none, as beside other people's."""
    try:
        record = parse_json(read_bounded(folder / RECORD, MAX_SETTINGS))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
