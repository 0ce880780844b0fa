"""Tables of features on disk: a memory-mapped .npy for each split, and beside it what it is and whose rows it has.

<cache>/features/<encoder>-<12 hex>/<dataset>-<split>-<12 hex>.npy      float32 (n_utterances, n_layers, width)
<cache>/features/<encoder>-<12 hex>/<dataset>-<split>-<12 hex>.json     provenance and utterance ids
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.cache_folder import cache_folder
from harness.data.damage import set_aside
from harness.data.writing import disk, locked, neighbour, settle
from harness.errors import DataError
from harness.features.encoder import Layers
from harness.features.spoken import SpokenSplit

FORMAT = 1


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The rows of one split."""

    array: Layers
    """float32 (n_utterances, n_layers, width), memory-mapped."""
    sha256: str
    """Of the bytes of the array."""


def encoder_folder(name: str, identity: Mapping[str, Any]) -> Path:
    """Returns the folder of what an encoder made; equal identities share one. Nothing is made."""
    canonical = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    key = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return cache_folder() / "features" / f"{name.replace('/', '-')}-{key}"


def table_path(folder: Path, split: SpokenSplit) -> Path:
    """Returns where the rows of a split belong."""
    return folder / f"{split.dataset.replace('/', '-')}-{split.name}-{split.fingerprint[:12]}.npy"


def load_table(
    folder: Path, split: SpokenSplit, identity: Mapping[str, Any], make: Callable[[], Layers]
) -> FeatureTable:
    """Returns the rows of a split from the cache, after making and keeping them if they are not there.

    Of several processes one makes them, and the others wait.

    Raises:
        DataError: what is made has NaNs, or not a row for each utterance; the message names the first utterances.
        StoreError: the folder cannot be written.

    What is not what was written is moved aside, and made anew.
    """
    path = table_path(folder, split)
    sidecar = path.with_suffix(".json")
    if (table := _open(path, sidecar, split)) is not None:
        return table
    with locked(path.with_suffix(".lock"), wait=True):
        if (table := _open(path, sidecar, split)) is not None:
            return table
        if sidecar.is_file():
            set_aside(sidecar, "it or its table is not what was written")
            if path.is_file():
                set_aside(path, "it or its sidecar is not what was written")
        return _keep(path, sidecar, split, identity, make())


def check_layers(array: Layers, split: SpokenSplit) -> None:
    """Raises DataError, naming utterances, unless there is one row of finite numbers for each."""
    where = f"features of {split.dataset}, split {split.name!r}"
    ids = [u.id for u in split.utterances()]
    if array.ndim != 3 or len(array) != len(ids):
        raise DataError(f"{where}: shape {array.shape}, expected (n_utterances, n_layers, width) with {len(ids)} rows")
    bad = [ids[i] for i in np.flatnonzero(~np.isfinite(array).all(axis=(1, 2)))]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise DataError(f"{where}: not a finite number in the rows of {', '.join(map(repr, bad[:3]))}{more}")


def _keep(path: Path, sidecar: Path, split: SpokenSplit, identity: Mapping[str, Any], array: Layers) -> FeatureTable:
    array = np.ascontiguousarray(array, dtype=np.float32)
    check_layers(array, split)
    record: dict[str, Any] = {
        "format": FORMAT,
        "encoder": identity,
        "dataset": split.dataset,
        "split": split.name,
        "fingerprint": split.fingerprint,
        "shape": array.shape,
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        "utterances": [u.id for u in split.utterances()],
    }
    part = neighbour(path)
    with disk(path):
        with part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        settle(part, path)
        part.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
        settle(part, sidecar)  # last: a table with a sidecar is whole
        return FeatureTable(np.load(path, mmap_mode="r", allow_pickle=False), record["sha256"])


def _open(path: Path, sidecar: Path, split: SpokenSplit) -> FeatureTable | None:
    """Returns a kept table; None if there is none, or it is not what was written: every byte of it is looked at."""
    try:
        record = json.loads(sidecar.read_text(encoding="utf-8"))
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        whole = (list(array.shape), str(array.dtype)) == (record["shape"], "float32")
        if whole and hashlib.sha256(array).hexdigest() == record["sha256"]:
            return FeatureTable(array, record["sha256"]) if record["fingerprint"] == split.fingerprint else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        pass
    return None
