"""A worker that is killed, or gets no more memory, costs its own run and no other; a repetition finishes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLUGIN = """
import os, resource, signal
from pathlib import Path
from harness import Prediction, Predictor, PredictorCard, register_predictor

def predict(dialogue):
    return [Prediction(u.id, "joy") for u in dialogue.targets]

class Fine(Predictor):
    def predict(self, dialogue):
        return predict(dialogue)

class Dies(Fine):
    def predict(self, dialogue):
        if dialogue.dialogue_id == "test7" and not Path(os.environ["MENDED"]).exists():
            if os.environ["FAULT"] == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
            bytearray(4 << 30)
        return predict(dialogue)

card = PredictorCard(family="test", context="past", deterministic=True)
for name, cls in {"lab/a": Fine, "lab/dies": Dies, "lab/b": Fine, "lab/c": Fine}.items():
    register_predictor(name, card=card)(type(cls.__name__ + name[-1], (cls,), {}))
"""


@pytest.mark.parametrize(
    ("fault", "status"), [("killed", "incomplete"), pytest.param("memory", "failed", marks=pytest.mark.slow)]
)
def test_one_worker_costs_one_run(fault: str, status: str, tmp_path: Path, toy_corpus: Path) -> None:
    plugin, mended = tmp_path / "plugin.py", tmp_path / "mended"
    plugin.write_text(PLUGIN)
    environment = {**os.environ, "ERC_DATA_DIR": str(toy_corpus), "FAULT": fault, "MENDED": str(mended)}
    command = [
        sys.executable, "-m", "harness", "run", "lab/a", "lab/dies", "lab/b", "lab/c", "--dataset", "toy",
        "--jobs", "2", "--plugin", str(plugin), "--results-dir", str(tmp_path / "results"), "--json", "--quiet",
    ]  # fmt: skip

    def run() -> tuple[int, dict[str, Any]]:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, {row["predictor"]: row for row in json.loads(done.stdout)["runs"]}

    code, rows = run()
    assert code == 3
    assert {name: row["status"] for name, row in rows.items()} == {
        "lab/a": "done", "lab/dies": status, "lab/b": "done", "lab/c": "done"
    }  # fmt: skip
    said = rows["lab/dies"]["detail"]
    assert ("out of memory); repeat the command" if fault == "killed" else "MemoryError") in said
    assert "\n" not in said
    mended.touch()
    code, rows = run()
    assert code == 0
    assert {row["status"] for name, row in rows.items() if name != "lab/dies"} == {"skipped"}
    assert rows["lab/dies"]["status"] == "done"
