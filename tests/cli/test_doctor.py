"""`doctor` finds another distribution that owns one of our package names, and a broken plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_another_owner_of_a_package_name_is_a_problem(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    info = site / "prompts_for_all-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: prompts-for-all\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("prompts\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    result = cli("doctor", "--json")
    states = {check["name"]: check for check in result.json["checks"]}
    assert result.code == 2
    assert states["import prompts"]["state"] == "problem"
    assert "pip uninstall prompts-for-all" in states["import prompts"]["detail"]
    assert states["import harness"]["state"] == "ok"


def test_corpora_that_are_here_are_told_from_those_that_are_not(cli: Cli, data_dir: Path) -> None:
    states = {c["name"]: c["state"] for c in cli("doctor", "--data-dir", data_dir, "--json").json["checks"]}
    assert states["dataset meld"] == "ok"
    assert states["dataset iemocap"] == "absent"
