"""Ctrl-C: exit code 130, no traceback, nothing lost, with one process and with several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = """
import time
from harness import Prediction, Predictor, PredictorCard, register_predictor

@register_predictor("lab/slow", card=PredictorCard(family="test"))
class Slow(Predictor):
    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def predict(self, dialogue):
        time.sleep(0.03)
        return [Prediction(u.id, "joy") for u in dialogue.targets]
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_ends_the_command_and_keeps_what_was_done(tmp_path: Path, toy_corpus: Path, n_jobs: int) -> None:
    plugin = tmp_path / "slow.py"
    plugin.write_text(SLOW)
    results = tmp_path / "results"
    command = [
        sys.executable, "-m", "harness", "run", "lab/slow", "--dataset", "toy", "--seed", "0", "1", "2",
        "--jobs", str(n_jobs), "--plugin", str(plugin), "--data-dir", str(toy_corpus), "--results-dir", str(results),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not any(log.stat().st_size > 500 for log in results.rglob("run.log.jsonl")):
        assert time.monotonic() < deadline, "the run never started to predict"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "repeat the command to go on" in err
    assert list(results.rglob("run.log.jsonl"))
    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "3 runs: " in resumed.stdout
    assert len(list(results.rglob("manifest.json"))) == 3
