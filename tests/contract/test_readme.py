"""Every command of the README runs, in order, in a copy of what a reader has; its board is the committed one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from many_runs import table_of

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

IN_THE_CLONE = {"make leaderboard": "tests/contract/test_make.py runs it", "make test": "it runs this test"}
"""Commands that are not run here, and why."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.fixture
def reader(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the README's files, a copy of results/ and the console script on the path."""
    shutil.copytree(ROOT / "results", tmp_path / "results")
    monkeypatch.setenv("ERC_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("ERC_DATA_DIR", str(data_dir))
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    here = tmp_path / "anywhere"
    here.mkdir()
    for block in blocks("python"):
        name = block.splitlines()[0].removeprefix("# ")
        (here / name).write_text(block, encoding="utf-8")
    return here


def test_every_command_runs(reader: Path) -> None:
    done = []
    for command in commands():
        if command in IN_THE_CLONE:
            continue
        assert command.startswith(("erc-harness ", "python -m harness.")), f"{command!r} is not run by any test"
        result = subprocess.run(command, shell=True, cwd=reader, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        done.append((command, result.stdout))
    printed = dict(done)
    assert "lab/shouts" in printed["erc-harness leaderboard build sample"]
    assert re.search(r"lab/shouts\[.*\n +mark=\?\]", printed["erc-harness leaderboard build sample"])  # a long name
    assert "tiny-random-llama" in printed["erc-harness cache stats"]
    assert "differs in prompt" in next(out for command, out in done if "cache why" in command)
    table = (reader / "table.tex").read_text(encoding="utf-8")
    assert "\\toprule" in table
    assert "tfidf-svm" in table


def test_what_is_not_run_is_a_target_of_the_makefile() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {command.removeprefix("make ") for command in IN_THE_CLONE} <= set(targets)
    assert set(IN_THE_CLONE) <= set(commands())


def test_the_board_on_the_first_screen_is_the_committed_one() -> None:
    shown = README.split("<!-- board: meld -->\n")[1].split("<!-- /board -->")[0].strip()
    view = (ROOT / "results" / "leaderboards" / "meld" / "leaderboard.md").read_text(encoding="utf-8")
    table = [line for line in view.splitlines() if line.startswith("|")]
    assert [line for line in shown.splitlines() if line.startswith("|")] == table
    assert README.index("<!-- /board -->") < README.index("## Two commands")


def test_the_model_to_register_takes_twelve_lines() -> None:
    block = blocks("python")[0]
    assert len(block.strip().splitlines()) <= 12


def test_what_a_study_costs_is_what_the_benchmark_has_kept() -> None:
    shown = README.split("<!-- bench: many_runs -->\n")[1].split("<!-- /bench -->")[0].strip()
    assert shown == table_of(json.loads((ROOT / "results/benchmarks/many_runs.json").read_bytes()))
