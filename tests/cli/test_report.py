"""`report`: one page, corpus text only where it is asked for, figures beside it."""

from __future__ import annotations

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


def test_it_writes_one_page_without_corpus_text(cli: Cli, toy_board: str, tmp_path: Path) -> None:
    told = cli("report", toy_board, "-o", tmp_path / "site", "--json").json
    assert told == {"board": "toy", "dir": str(tmp_path / "site"), "files": ["index.html"], "holds_corpus_text": False}
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["index.html"]
    html = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "stratified" in html
    assert "That is" not in html


def test_dialogues_are_shown_on_demand_with_a_warning(cli: Cli, toy_board: str, tmp_path: Path) -> None:
    done = cli("report", toy_board, "-o", tmp_path, "--dialogues")
    assert done.code == 0
    assert "keep it to yourself" in done.err
    assert "That is lovely number" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_figures_are_drawn_on_demand(cli: Cli, toy_board: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'erc-harness[plots]'")
    files = cli("report", toy_board, "-o", tmp_path, "--figures", "--json").json["files"]
    assert {"index.html", "figures/toy-groups.pdf", "figures/toy-groups.svg"} <= set(files)
    assert all((tmp_path / name).stat().st_size for name in files)


def test_an_unknown_board_is_one_line(cli: Cli, tmp_path: Path) -> None:
    done = cli("report", "nothing", "-o", tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "unknown board 'nothing'" in done.err
