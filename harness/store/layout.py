"""The paths under `results/`; no other module knows them.

results/runs/<dataset>/<split>/<predictor>/<run_id>/{manifest.json, predictions.parquet, dialogues.parquet};
    and generations.parquet if a language model made it
results/leaderboards/<board>/{board.toml, leaderboard.json, leaderboard.md, leaderboard.csv, leaderboard.tex}
results/benchmarks/<name>.json
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError
from harness.registry.registry import FILE_NAME, NAME

RUN_ID = re.compile(r"seed\d+-[0-9a-f]{8}")

MANIFEST = "manifest.json"
PREDICTIONS = "predictions.parquet"
DIALOGUES = "dialogues.parquet"
GENERATIONS = "generations.parquet"
SEALED = (PREDICTIONS, DIALOGUES, GENERATIONS, MANIFEST)
"""Files of a sealed run, the manifest last: it seals. There are generations only where a language model answered."""
LOG = "run.log.jsonl"
"""Append-only while a run is not sealed."""
LOCK = "lock"
"""Tells who makes a run while it is made."""
FITTED = "fitted"
"""Folder with what an unsealed run has learned so far."""
CHECKPOINTS = "checkpoints"
"""Folder of what an interrupted training goes on from."""
SHARDS = "shards"
"""Folder of the parts of a run that are made apart, each in a folder with a log of its own, until they are merged."""
AGAIN = ".rerun"
"""End of the name of the folder in which a sealed run is made once more."""
ERROR = "error.log"
"""Traceback of a failed attempt."""

VIEWS = {"json": "leaderboard.json", "markdown": "leaderboard.md", "csv": "leaderboard.csv", "latex": "leaderboard.tex"}
"""File name of each committed view of a board, by exporter."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one results folder."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def leaderboards(self) -> Path:
        return self.root / "leaderboards"

    def run(self, dataset: str, split: str, predictor: str, run_id: str) -> Path:
        """Returns the folder of a run."""
        return self.runs / _safe("dataset", dataset) / split / _safe("predictor", predictor) / run_id

    def split(self, dataset: str, split: str) -> Path:
        """Returns the folder that holds every run on a split."""
        return self.runs / _safe("dataset", dataset) / split

    def board(self, board: str) -> Path:
        """Returns the folder of a board."""
        return self.leaderboards / _safe("board", board)

    def board_spec(self, board: str) -> Path:
        """Returns the path of a board's specification."""
        return self.board(board) / "board.toml"

    def view(self, board: str, exporter: str) -> Path:
        """Returns the path of a committed view of a board."""
        return self.board(board) / VIEWS[exporter]


def is_sealed(folder: Path) -> bool:
    """Returns whether the run in a folder is finished."""
    return (folder / MANIFEST).exists()


def making_folder(folder: Path, rerun: bool) -> Path:
    """Returns where a run is made: in its folder, or beside it where a sealed one is made again."""
    return folder.with_name(f"{folder.name}{AGAIN}") if rerun and is_sealed(folder) else folder


def beside(folder: Path, name: str) -> Path:
    """Returns the path of a file that another file of its folder names.

    Raises:
        ConfigError: it would lie elsewhere: the name is a path, or the file a link that leads out of the folder.
    """
    path = folder / name
    if not FILE_NAME.fullmatch(name) or path.resolve().parent != folder.resolve():
        raise ConfigError(f"file {name!r} leads out of {folder}: put a copy there, under a plain name, and name that")
    return path


def _safe(kind: str, name: str) -> str:
    """Returns a name that cannot leave its folder.

    Raises:
        ConfigError: the name has other characters than registered names have.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise ConfigError(f"{kind} name {name!r}: expected lower-case letters, digits, '.', '_' or '-'")
    return name
