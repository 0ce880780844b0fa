"""A stage that carries out commands and kills them, and the kinds of work that are disturbed on it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PLUGIN = ("--plugin", str(HERE / "lab.py"))
BOARD = """
title = "Toy"
datasets = ["toy"]
seeds = [0]
scope = "checkpoint"
{predictors}
"""

KINDS = {
    "run": ["run", "lab/words", "--dataset", "toy", "--quiet", *PLUGIN],
    "seal": ["run", "majority", "--dataset", "toy", "--quiet"],
    "training": [
        "run", "bc-lstm", "--dataset", "toy", "-P", "encoder=lab/hashed", "-P", "epochs=3", "-P", "hidden=4", "--quiet",
        *PLUGIN,
    ],
    "build": ["leaderboard", "build", "toys"],
    "features": ["features", "extract", "lab/hashed", "--dataset", "toy", "--quiet", *PLUGIN],
    "calls": [
        "run", "zero-shot", "--dataset", "toy", "-P", "backend=lab", "-P", "model=m", "--quiet", *PLUGIN,
    ],
}  # fmt: skip

LEFT_OUT = ("asked.txt", "sqlite-wal", "sqlite-shm", "lock")
"""A lock that nobody holds says nothing."""


@dataclass
class Place:
    """A folder with results, caches and a diary of what was asked; its content is compared with that of others."""

    root: Path
    environment: dict[str, str]

    @property
    def asked(self) -> list[str]:
        path = self.root / "asked.txt"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def content(self) -> dict[str, Any]:
        """Everything that is left on the disk, what is measured taken out: times, and sums over them."""
        return {
            str(path.relative_to(self.root)): readable(path)
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.name.endswith(LEFT_OUT)
        }


def readable(path: Path) -> Any:
    if path.name == "manifest.json":
        manifest = json.loads(path.read_text())
        for key in ("times", "sha256", "git"):
            del manifest[key]
        manifest["files"].pop("generations.parquet", None)
        manifest["predictor"]["facts"].pop("usage", None)
        return manifest
    if path.name == "generations.parquet":  # seconds, and whether an answer was there before, differ by nature
        import pyarrow.parquet as pq

        return pq.read_table(path).drop_columns(["seconds", "cached"]).to_pylist()
    if path.name == "responses.sqlite":
        db = sqlite3.connect(path)
        rows = db.execute("SELECT key, response, fields, n_prompt_tokens FROM responses ORDER BY key").fetchall()
        (state,) = db.execute("PRAGMA integrity_check").fetchone()
        db.close()
        return [[key, {**json.loads(response), "seconds": None}, rest] for key, response, *rest in rows], state
    return path.read_bytes()


@dataclass
class Stage:
    """Places below one folder, and the process that acts on them."""

    folder: Path
    data: Path
    process: subprocess.Popen[str]
    made: int = 0

    def place(self, like: Path | None = None) -> Place:
        """A new place; with a copy of what is in a folder."""
        self.made += 1
        root = self.folder / f"place{self.made}"
        if like is None:
            root.mkdir()
        else:
            shutil.copytree(like, root)
        environment = {
            "ERC_RESULTS_DIR": str(root / "results"), "ERC_CACHE_DIR": str(root / "cache"),
            "ERC_DATA_DIR": str(self.data), "ASKED": str(root / "asked.txt"),
        }  # fmt: skip
        return Place(root, environment)

    def act(self, place: Place, kind: str | list[str], **how: Any) -> dict[str, Any]:
        """Carries out a command, or that of a kind of work; see `stage.py` for how it may be disturbed."""
        argv = KINDS[kind] if isinstance(kind, str) else kind
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"argv": argv, "env": place.environment, **how}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, write_toy: Callable[..., None]) -> Iterator[Stage]:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'erc-harness[models]'")
    folder = tmp_path_factory.mktemp("faults")
    write_toy(folder / "data" / "toy")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stage.py"), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    yield Stage(folder, folder / "data", process)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.fixture(scope="session")
def begin(stage: Stage) -> Callable[[str], Place]:
    """Returns a function to a place where a kind of work can begin: a board has its runs."""
    origins: dict[str, Path] = {}

    def prepare(kind: str) -> Place:
        if kind != "build":
            return stage.place()
        if kind not in origins:
            place = stage.place()
            names = ("majority", "stratified", "tfidf-logreg")
            for name in names:
                assert stage.act(place, ["run", name, "--dataset", "toy", "--quiet"])["code"] == 0
            board = place.root / "results" / "leaderboards" / "toys" / "board.toml"
            board.parent.mkdir(parents=True)
            rows = "".join(f'[[predictors]]\nname = "{name}"\n' for name in names)
            board.write_text(BOARD.format(predictors=rows))
            origins[kind] = place.root
        return stage.place(origins[kind])

    return prepare


@dataclass(frozen=True)
class Undisturbed:
    """What a kind of work comes to when nothing happens to it."""

    root: Path
    content: dict[str, Any]
    n_writes: int
    seconds: float


@pytest.fixture(scope="session")
def undisturbed(stage: Stage, begin: Callable[[str], Place]) -> Callable[[str], Undisturbed]:
    made: dict[str, Undisturbed] = {}

    def make(kind: str) -> Undisturbed:
        if kind not in made:
            place = begin(kind)
            done = stage.act(place, kind)
            assert done["code"] == 0, done["stderr"]
            made[kind] = Undisturbed(place.root, place.content(), done["n_writes"], done["seconds"])
        return made[kind]

    return make
