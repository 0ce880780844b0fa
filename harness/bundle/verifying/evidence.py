"""What the numbers of a bundle are computed from: the board's settings and names, manifests, and counts by dialogue."""

from __future__ import annotations

import json
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
    document = json.loads((folder / BOARD).read_text(encoding="utf-8"))
    runs = json.loads((folder / RUNS).read_text(encoding="utf-8"))
    arrays: dict[str, dict[str, Array]] = {}
    for header in document["headers"]:
        with np.load(folder / COUNTS / counts_name(header["dataset"]), allow_pickle=False) as file:
            arrays[header["dataset"]] = {name: file[name] for name in file.files}
    return Evidence(document, runs["runs"], arrays, runs["n_resamples"])


def counts_name(dataset: str) -> str:
    """Returns the name of the file with the counts of a dataset."""
    return f"{dataset.replace('/', '-')}.npz"
