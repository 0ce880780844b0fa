"""`explain`: every number of a table has its words, and the README has the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.explain import ENTRIES, find_explanation

Cli = Callable[..., Any]

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_every_column_of_a_board_is_explained(cli: Cli) -> None:
    table = cli("export", "meld", "--to", "console", "--results-dir", RESULTS).out
    head = next(line for line in table.splitlines() if line.startswith("Rank "))
    titles = re.split(r"\s{2,}", head.strip())
    assert {"Letters", "Δ top", "p adj"} <= set(titles)
    for title in titles:
        if title not in ("Predictor", "accuracy", "macro-F1"):
            assert cli("explain", title).code == 0, title
    for word in ("MDE80", "SE", "†", "signature", "scope", "Coverage"):
        assert find_explanation(word).claim


def test_one_entry_or_the_whole_page(cli: Cli) -> None:
    page, entry = cli("explain").out, cli("explain", "letters").out
    assert all(explanation.title in page for explanation in ENTRIES.values())
    assert entry in page
    assert "seven of them score between 54.3 and 55.9" in _flat(page)
    assert "54.3" not in entry
    assert max(map(len, page.splitlines())) <= 110
    assert [e["name"] for e in cli("explain", "--json").json["explanations"]] == list(ENTRIES)
    assert cli("explain", "p adj", "--json").json["explanations"][0]["name"] == "delta"


def test_the_readme_says_the_same() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## What the numbers mean\n")[1].split("\n## ")[0]
    said = re.findall(r"^- \*\*(.+?)\*\*: ((?:.+\n)(?:  .+\n)*)", section, re.MULTILINE)
    assert [(title, _flat(claim)) for title, claim in said] == [(e.title, _flat(e.claim)) for e in ENTRIES.values()]


@pytest.mark.parametrize("column", ["rnk", "p-value", ""])
def test_an_unknown_column_is_named(cli: Cli, column: str) -> None:
    result = cli("explain", column)
    assert result.code == 2
    assert f"unknown column {column!r}" in result.err
    assert "letters" in result.err
