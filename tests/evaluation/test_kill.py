"""SIGKILL at random instants, then the same command again: nothing lost, nothing logged is asked again, same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

SLOW = """
import os, time
from harness import Prediction, Predictor, PredictorCard, register_predictor

@register_predictor("lab/slow", card=PredictorCard(family="test", context="past", deterministic=True))
class Slow(Predictor):
    def fit(self, train, dev):
        with open(os.environ["ASKED"], "a") as file:
            file.write("fit\\n")
        time.sleep(0.05)

    def save(self, folder):
        (folder / "learned.txt").write_text("yes")

    def load(self, folder):
        assert (folder / "learned.txt").read_text() == "yes"

    def predict(self, dialogue):
        time.sleep(0.01)
        with open(os.environ["ASKED"], "a") as file:
            file.write("".join(u.id + "\\n" for u in dialogue.targets))
        return [Prediction(u.id, "joy" if "lovely" in u.text else "neutral") for u in dialogue.targets]
"""


@pytest.fixture
def command(tmp_path: Path, toy_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    plugin = tmp_path / "slow.py"
    plugin.write_text(SLOW)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked.txt"))
    monkeypatch.setenv("ERC_DATA_DIR", str(toy_corpus))
    return [sys.executable, "-m", "harness", "run", "lab/slow", "--dataset", "toy", "--plugin", str(plugin), "--json"]


def finish(command: list[str], results: Path) -> Path:
    done = subprocess.run([*command, "--results-dir", str(results)], capture_output=True, text=True, check=True)
    return Path(json.loads(done.stdout)["runs"][0]["path"])


def logged(results: Path) -> set[str]:
    """Utterances whose predictions are in whole lines of the log."""
    ids = set()
    for log in results.rglob("run.log.jsonl"):
        for line in log.read_bytes().rpartition(b"\n")[0].splitlines():
            ids |= {row[0] for row in json.loads(line).get("predictions", [])}
    return ids


def test_a_killed_run_resumes_without_losing_or_repeating(command: list[str], tmp_path: Path) -> None:
    begin = time.perf_counter()
    undisturbed = finish(command, tmp_path / "undisturbed")
    seconds = time.perf_counter() - begin  # of a whole run on this machine, busy as it may be
    asked = tmp_path / "asked.txt"
    asked.unlink()
    results = tmp_path / "killed"
    rng = random.Random(7)
    times_asked: dict[str, int] = {}  # per logged utterance, when it was first seen in the log
    n_kills = 0
    for _ in range(8):
        process = subprocess.Popen(
            [*command, "--results-dir", str(results)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.3, 0.9) * seconds)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            n_kills += 1
        process.wait()
        if list(results.rglob("manifest.json")):
            break
        assert set(times_asked) <= logged(results), "a logged prediction was lost"
        counts = Counter(asked.read_text().split()) if asked.exists() else Counter()
        for utterance in logged(results) - set(times_asked):
            times_asked[utterance] = counts[utterance]
    assert n_kills >= 2, "the run was too quick for the test to say anything"
    resumed = finish(command, results)
    for name in ("predictions.parquet", "dialogues.parquet"):
        assert (resumed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert sorted(p.name for p in resumed.iterdir()) == ["dialogues.parquet", "manifest.json", "predictions.parquet"]
    final = Counter(asked.read_text().split())
    assert {u: final[u] for u in times_asked} == times_asked, "a logged prediction was made again"
    assert len(times_asked) > 5, "no kill fell into the predictions: the test says nothing"
