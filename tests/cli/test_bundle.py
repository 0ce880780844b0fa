"""`bundle` and `verify`: a folder that holds no corpus text, a check that says what differs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def toy_board(cli: Cli) -> str:
    """The board of all runs on the toy corpus: two systems."""
    for name in ("majority", "stratified"):
        assert cli("run", name, "--dataset", "toy").code == 0
    return "toy"


def test_a_bundle_is_written_verified_and_holds_no_corpus_text(cli: Cli, toy_board: str, tmp_path: Path) -> None:
    told = cli("bundle", toy_board, "-o", tmp_path / "b", "--json").json
    assert {"verify.py", "results.lock", "tables/main.tex", "statistics.tex", "appendix.tex"} <= set(told["files"])
    assert sorted(told["files"]) == sorted(
        path.relative_to(tmp_path / "b").as_posix() for path in (tmp_path / "b").rglob("*") if path.is_file()
    )
    assert all(b"That is" not in path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file())
    verified = cli("verify", tmp_path / "b", "--json").json
    assert verified["differences"] == []
    assert verified["n_numbers"] > 50
    assert cli("verify", tmp_path / "b").out.startswith("verified: ")


def test_the_same_runs_give_the_same_bytes(cli: Cli, toy_board: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert cli("bundle", toy_board, "-o", tmp_path / name).code == 0
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert [f for f in files if (tmp_path / "a" / f).read_bytes() != (tmp_path / "b" / f).read_bytes()] == []


def test_a_difference_is_an_error_with_its_place_on_stdout(cli: Cli, toy_board: str, tmp_path: Path) -> None:
    cli("bundle", toy_board, "-o", tmp_path)
    text = (tmp_path / "statistics.tex").read_text(encoding="utf-8")
    (tmp_path / "statistics.tex").write_text(text.replace("95\\%", "99\\%"), encoding="utf-8")
    done = cli("verify", tmp_path)
    assert done.code == 2
    assert "statistics.tex: line" in done.out
    assert "2 differences" in done.err
    assert len(cli("verify", tmp_path, "--json").json["differences"]) == 2


def test_what_is_no_bundle_is_one_line(cli: Cli, tmp_path: Path) -> None:
    done = cli("verify", tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "holds no results.lock" in done.err


def test_a_tampered_prediction_in_the_store_is_named_before_anything_is_written(
    cli: Cli, toy_board: str, tmp_path: Path
) -> None:
    path = next((tmp_path / "results").rglob("predictions.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = cli("bundle", toy_board, "-o", tmp_path / "b")
    assert done.code == 2
    assert str(path) in done.err
    assert not (tmp_path / "b").exists()


def test_without_matplotlib_the_bundle_says_so(
    cli: Cli, toy_board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = cli("bundle", toy_board, "-o", tmp_path)
    assert "matplotlib was not installed" in done.err
    assert "matplotlib was not installed" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert cli("verify", tmp_path).code == 0


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed: apt-get install texlive")
def test_its_document_compiles(cli: Cli, toy_board: str, tmp_path: Path) -> None:
    cli("bundle", toy_board, "-o", tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "main.pdf").stat().st_size > 10_000
    assert cli("verify", tmp_path).code == 0
