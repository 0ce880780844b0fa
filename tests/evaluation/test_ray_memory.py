"""A run that takes more memory than its machine has: Ray kills it, and nothing else suffers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PLUGIN = """
import time
from harness import Predictor, PredictorCard, register_predictor

@register_predictor("lab/hungry", card=PredictorCard(family="test"))
class Hungry(Predictor):
    def __init__(self, seed: int = 0) -> None:
        self.held = []

    def predict(self, dialogue):
        for _ in range(300):  # 10 MB each, written to
            self.held.append(b"x" * 10_000_000)
            time.sleep(0.01)
        time.sleep(60)
"""

BOARD = """
datasets = ["toy"]
seeds = [0]

[[predictors]]
name = "lab/hungry"

[[predictors]]
name = "majority"
"""


def memory_used() -> tuple[int, int]:
    """Bytes of this machine that are in use, and all of them, as Ray sees them."""
    from ray._private.utils import get_system_memory, get_used_memory

    return get_used_memory(), get_system_memory()


def test_a_run_that_ray_kills_for_its_memory_is_told_and_the_others_are_made(tmp_path: Path, toy_corpus: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'erc-harness[ray]'")
    used, total = memory_used()
    if total - used < 4e9:
        pytest.skip("less than 4 GB of memory are free")
    (tmp_path / "hungry.py").write_text(PLUGIN)
    results = tmp_path / "results"
    board = results / "leaderboards" / "two" / "board.toml"
    board.parent.mkdir(parents=True)
    board.write_text(BOARD)
    environment = {
        **os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "50",
        "RAY_memory_usage_threshold": f"{(used + 2.5e9) / total:.4f}",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "harness", "run", "--board", "two", "--executor", "ray", "--address", "local",
        "-R", "cpus=1", "--plugin", "hungry.py", "--json", "--data-dir", str(toy_corpus), "--results-dir", str(results),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    runs = {Path(run["path"]).parent.name: run for run in json.loads(done.stdout)["runs"]}
    assert runs["majority"]["status"] == "done", (runs, done.stderr)
    assert runs["hungry"]["status"] == "incomplete"
    assert "ran out of memory under it (OutOfMemoryError); give it more memory with -R" in runs["hungry"]["detail"]
    assert done.returncode == 3
