"""Tables of features on disk: a memory-mapped .npy for each split, and beside it what it is and whose rows it has.

<cache>/features/<encoder>-<12 hex>/<dataset>-<split>-<12 hex>.npy      float32 (n_utterances, n_layers, width)
<cache>/features/<encoder>-<12 hex>/<dataset>-<split>-<12 hex>.json     provenance and utterance ids
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.bounded import parse_json, read_bounded
from harness.data.cache_folder import cache_folder
from harness.data.writing import disk, locked, settle
from harness.errors import DataError, StoreError
from harness.features.arrays import map_array
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
        StoreError: a file in the cache is corrupt, or the folder cannot be written.
    """
    path = table_path(folder, split)
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        with locked(path.with_suffix(".lock"), wait=True):
            if not sidecar.is_file():
                _keep(path, sidecar, split, identity, make())
    return _open(path, sidecar, split)


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


def _keep(path: Path, sidecar: Path, split: SpokenSplit, identity: Mapping[str, Any], array: Layers) -> None:
    array = np.ascontiguousarray(array, dtype=np.float32)
    check_layers(array, split)
    record = {
        "format": FORMAT,
        "encoder": identity,
        "dataset": split.dataset,
        "split": split.name,
        "fingerprint": split.fingerprint,
        "shape": array.shape,
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        "utterances": [u.id for u in split.utterances()],
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with disk(path):
        with part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        settle(part, path)
        part.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
        settle(part, sidecar)  # last: a table with a sidecar is whole


def _open(path: Path, sidecar: Path, split: SpokenSplit) -> FeatureTable:
    remedy = f"delete {sidecar} and repeat"
    try:
        record = parse_json(read_bounded(sidecar))
        array = map_array(path)
        shape, fingerprint, sha256 = record["shape"], record["fingerprint"], record["sha256"]
        whole = (list(array.shape), str(array.dtype)) == (shape, "float32") and isinstance(sha256, str)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: no table of features ({error}); {remedy}") from error
    if not whole or fingerprint != split.fingerprint:
        raise StoreError(
            f"{path}: {array.dtype} {array.shape} of the split {str(fingerprint)[:12]}, expected float32 "
            f"{tuple(shape) if isinstance(shape, list) else shape} of {split.fingerprint[:12]}; {remedy}"
        )
    return FeatureTable(array, sha256)
