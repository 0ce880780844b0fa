"""Shards of a language model's run on a real Ray cluster of one node, whose worker loads the model once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.runner import execute_run
from harness.llm.calls import CallSettings
from harness.schema.run import Job

PLUGIN = """
import os
from pathlib import Path
from harness.llm.local import backend

if not hasattr(backend, "load_uncounted"):
    backend.load_uncounted = backend.load_model

    def load_model(*arguments):
        with Path(os.environ["ERC_TEST_LOADS"]).open("a") as file:
            file.write("one\\n")
        return backend.load_uncounted(*arguments)

    backend.load_model = load_model
"""


@pytest.mark.parametrize(
    "where",
    [("--executor", "ray", "-R", "cpus=2"), pytest.param(("--executor", "processes"), marks=pytest.mark.slow)],
    ids=["ray", "processes"],
)
def test_a_worker_loads_a_model_once_for_its_shards_and_runs(
    tmp_path: Path, toy_corpus: Path, small_llama: Path, predictors: None, where: tuple[str, ...]
) -> None:
    if "ray" in where:
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'erc-harness[ray]'")
    (tmp_path / "count.py").write_text(PLUGIN)

    environment = {**os.environ, "ERC_TEST_LOADS": str(tmp_path / "loads"), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [
        sys.executable, "-m", "harness", "run", "zero-shot", "-P", f"model={small_llama}", "-P", "max_new_tokens=2",
        "-P", "temperature=1", "--dataset", "toy", "--seed", "0", "1", "--plugin", "count.py", "--json",
        "--shards", "2", "--data-dir", str(toy_corpus), "--results-dir", str(tmp_path / "cut"),
        "--cache", str(tmp_path / "cut.sqlite"),
    ]  # fmt: skip
    done = subprocess.run(
        [*command, *where], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "loads").read_text() == "one\n"

    settings = Settings(tmp_path / "whole", toy_corpus, calls=CallSettings(cache=tmp_path / "whole.sqlite"))
    params = {"model": str(small_llama), "max_new_tokens": 2, "temperature": 1.0}
    for row in json.loads(done.stdout)["runs"]:
        run = prepare(Job("zero-shot", params, "toy", "test", row["seed"]), settings)
        whole = execute_run(run, settings, lambda progress: None)
        assert (whole.status, whole.run_id) == ("done", row["run_id"])
        for table in ("predictions.parquet", "dialogues.parquet"):
            assert (Path(row["path"]) / table).read_bytes() == (Path(whole.path) / table).read_bytes()
