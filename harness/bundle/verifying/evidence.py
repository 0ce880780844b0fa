"""What the numbers of a bundle are computed from: the board's settings and names, manifests, and counts by dialogue."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .scores import Array

Document = dict[str, Any]
"""A JSON object."""

BOARD, RUNS, COUNTS = "leaderboard.json", "runs.json", "counts"
"""Files of a bundle, and its folder of counts."""

MAX_BYTES = 256 << 20
"""Of a file of a bundle, unpacked; the largest here has under 10 MB."""


@dataclass(frozen=True)
class Evidence:
    """What the numbers of a bundle are computed from."""

    document: Document
    """`leaderboard.json`."""
    runs: Mapping[str, Document]
    """The manifest of each run by its path."""
    arrays: Mapping[str, Mapping[str, Array]]
    """By dataset: `unit` (n_dialogues,), and by path the counts of each run (n_dialogues, n_labels, n_labels + 1)."""
    n_resamples: int
    """Replicates asked for."""


def read_evidence(folder: Path) -> Evidence:
    """Returns what the numbers of a bundle are computed from."""
    document = json.loads(read_text(folder / BOARD))
    runs = json.loads(read_text(folder / RUNS))
    arrays: dict[str, dict[str, Array]] = {}
    for header in document["headers"]:
        path = folder / COUNTS / counts_name(header["dataset"])
        _check_unpacked(path)
        with np.load(path, allow_pickle=False) as file:
            arrays[header["dataset"]] = {name: file[name] for name in file.files}
    return Evidence(document, runs["runs"], arrays, runs["n_resamples"])


def read_text(path: Path) -> str:
    """Returns the text of a file; raises ValueError for one that is too large, or is none, such as a pipe."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name}: expected a file of at most {MAX_BYTES} bytes")
    return path.read_text(encoding="utf-8")


def _check_unpacked(path: Path) -> None:
    """Checks what an archive of arrays claims to unpack to: a few kB can hold gigabytes."""
    if not path.is_file():
        raise ValueError(f"{path.name}: expected a file")
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"{path.name}: more than {MAX_BYTES} bytes when unpacked")


def counts_name(dataset: str) -> str:
    """Returns the name of the file with the counts of a dataset."""
    return f"{dataset.replace('/', '-')}.npz"
