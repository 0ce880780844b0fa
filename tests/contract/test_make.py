"""`make leaderboard` in a copy of the repository: it runs, shows and compares; the second call does no work again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files make needs, with this environment in the place of one that make would create."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "results" / "leaderboards", tmp_path / "results" / "leaderboards")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def make(folder: Path) -> str:
    command = ["make", "--old-file=.venv/.installed", "--old-file=.venv/.installed-models", "leaderboard"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scores(folder: Path) -> dict[str, float]:
    """Score by row of the board below a folder."""
    board = json.loads((folder / "leaderboards" / "sample" / "leaderboard.json").read_text())
    return {entry["predictor"]: entry["score"] for entry in board["entries"]}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.timeout(900)
def test_make_leaderboard_runs_then_rests(copy: Path) -> None:
    first = make(copy)
    match = re.search(r"(\d+) runs: (\d+) made now", first)
    assert match and match[1] == match[2], first
    assert "tfidf-svm" in first
    assert re.search(r"views: .*build/leaderboard/leaderboards/sample", first)
    assert re.search(r"(identical to|differs from) the committed board", first)

    committed, made = scores(ROOT / "results"), scores(copy / "build" / "leaderboard")
    assert made.keys() == committed.keys()
    trained = {row for row in made if row.startswith("dialogue-llm")}
    assert {row: made[row] for row in made.keys() - trained} == {row: committed[row] for row in made.keys() - trained}
    # Another processor rounds otherwise, and hundreds of updates make that a difference of predictions.
    assert trained and all(made[row] > made["majority"] for row in trained)

    sealed = {path: path.stat().st_mtime_ns for path in (copy / "build").rglob("manifest.json")}
    again = make(copy)
    assert f"{match[1]} runs: {match[1]} made before" in again
    assert {path: path.stat().st_mtime_ns for path in (copy / "build").rglob("manifest.json")} == sealed
