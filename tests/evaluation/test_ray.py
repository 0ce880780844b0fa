"""Shards of a language model's run on a real Ray cluster of one node, whose worker loads the model once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    [
        ("--executor", "ray", "-R", "cpus=2"),
        pytest.param(("--executor", "processes"), marks=pytest.mark.slow),
    ],
    ids=["ray", "processes"],
)
def test_a_worker_loads_a_model_once_for_its_shards_and_runs(
    tmp_path: Path, toy_corpus: Path, small_llama: Path, where: tuple[str, ...]
) -> None:
    if "ray" in where:
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'erc-harness[ray]'")
    (tmp_path / "count.py").write_text(PLUGIN)

    def run(name: str, *more: str) -> list[Path]:
        environment = {**os.environ, "ERC_TEST_LOADS": str(tmp_path / f"loads-{name}"), "RAY_USAGE_STATS_ENABLED": "0"}
        command = [
            sys.executable, "-m", "harness", "run", "zero-shot", "-P", f"model={small_llama}", "-P", "max_new_tokens=2",
            "-P", "temperature=1", "--dataset", "toy", "--seed", "0", "1", "--plugin", "count.py", "--json",
            "--data-dir", str(toy_corpus), "--results-dir", str(tmp_path / name),
            "--cache", str(tmp_path / f"{name}.sqlite"), *more,
        ]  # fmt: skip
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [Path(row["path"]) for row in json.loads(done.stdout)["runs"]]

    made = run("cut", *where, "--shards", "2")
    assert (tmp_path / "loads-cut").read_text() == "one\n"
    whole = run("whole")
    assert (tmp_path / "loads-whole").read_text() == "one\n" * 2, "a command that is no worker keeps nothing"
    for one, other in zip(made, whole, strict=True):
        for table in ("predictions.parquet", "dialogues.parquet"):
            assert (one / table).read_bytes() == (other / table).read_bytes()
