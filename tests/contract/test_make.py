"""`make leaderboard` in a copy of the repository: it runs, shows and compares; the second call does no work again."""

from __future__ import annotations

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
    shutil.copytree(ROOT / "results" / "runs" / "sample", tmp_path / "results" / "runs" / "sample")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def make(folder: Path) -> str:
    command = ["make", "--old-file=.venv/.installed", "leaderboard"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_leaderboard_runs_then_rests(copy: Path) -> None:
    first = make(copy)
    match = re.search(r"(\d+) runs: (\d+) made now, (\d+) made before", first)
    assert match and int(match[1]) == int(match[2]) + int(match[3]), first
    assert int(match[3]) == len(list((ROOT / "results" / "runs" / "sample" / "test").glob("*-shot/*")))
    assert "tfidf-svm" in first
    assert re.search(r"views: .*build/leaderboard/leaderboards/sample", first)
    assert "identical to the committed board" in first

    sealed = {path: path.stat().st_mtime_ns for path in (copy / "build").rglob("manifest.json")}
    again = make(copy)
    assert f"{match[1]} runs: {match[1]} made before" in again
    assert {path: path.stat().st_mtime_ns for path in (copy / "build").rglob("manifest.json")} == sealed
