"""The built wheel, in an environment of its own, with a plugin package installed beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and the plugin package; third-party packages are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=True)
    plugin = build(ROOT / "tests" / "plugin_package", tmp_path_factory.mktemp("plugin"))
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel), str(plugin)]
    subprocess.run(install, check=True, capture_output=True)
    (site,) = (folder / "lib").glob("python3*/site-packages")
    # A line of a .pth file adds a folder, but the .pth files in it are not read: our editable install stays out.
    (site / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def build(source: Path, folder: Path) -> Path:
    """Builds a wheel from a copy, so that nothing an earlier build left behind gets in."""
    copy = folder / f"{source.name}-copy"
    left_out = shutil.ignore_patterns(".*", "build", "results", "tests", "__pycache__", "*.egg-info")
    shutil.copytree(source, copy, ignore=left_out)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def erc(environment: Path, folder: Path, *arguments: str, code: int = 0) -> Any:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ERC_") and k != "PYTHONPATH"}
    done = subprocess.run(
        [str(environment / "bin" / "erc-harness"), *arguments, "--json"],
        capture_output=True, text=True, cwd=folder, env=clean, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_the_wheel_holds_our_packages_and_their_data_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"harness", "baselines", "prompts"}
    assert {f"harness/data/sample/{f}" for f in ("card.toml", "train.jsonl", "dev.jsonl", "test.jsonl")} <= set(names)
    prompts = {
        f"prompts/templates/{t}.j2"
        for t in ("zero-shot/v1", "zero-shot/v2", "zero-shot/v3", "alpaca/v1", "dialogue-llm/v1", "describe-video/v1")
    }
    assert {
        *prompts,
        "prompts/templates/README.md",
        "harness/llm/tables/models.toml",
        "harness/llm/tables/prices.toml",
        "harness/literature/tables/protocols.toml",
        "harness/literature/tables/dialogue-llm.toml",
    } <= set(names)
    assert "harness/py.typed" in names
    assert any(name.startswith("harness/export/templates/") for name in names)
    assert {f"harness/report/templates/{f}" for f in ("report.html.j2", "report.css", "main.js")} <= set(names)


def test_it_runs_from_the_wheel_in_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [environment / "bin" / "python", "-c", "import harness; print(harness.__file__)"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert str(environment) in where.stdout, "the test would speak of the checkout, not of the wheel"
    (run,) = erc(environment, tmp_path, "run", "lab/exclaims", "--dataset", "sample")["runs"]
    assert run["status"] == "done"
    assert Path(run["path"]).is_relative_to(tmp_path / "results")
    board = erc(environment, tmp_path, "leaderboard", "build", "sample")
    assert [entry["predictor"] for entry in board["entries"]] == ["lab/exclaims"]


def test_installed_plugins_are_found_and_a_broken_one_is_listed_with_its_cause(
    environment: Path, tmp_path: Path
) -> None:
    rows = {row["name"]: row for row in erc(environment, tmp_path, "list", "predictors")["predictors"]}
    assert rows["lab/exclaims"]["origin"] == "lab_plugin"
    assert "this laboratory made a mistake" in rows["wrong"]["error"]
    assert rows["majority"]["error"] is None
    said = erc(environment, tmp_path, "run", "wrong", "--dataset", "sample", code=2)
    assert "this laboratory made a mistake" in said


def test_a_plugin_can_add_a_dataset(environment: Path, tmp_path: Path) -> None:
    shown = erc(environment, tmp_path, "data", "show", "lab/echo")
    assert shown["splits"]["test"]["n_dialogues"] == 12
    (run,) = erc(environment, tmp_path, "run", "lab/exclaims", "--dataset", "lab/echo")["runs"]
    assert run["status"] == "done"


def test_the_conformance_suite_passes_for_the_plugin(environment: Path, tmp_path: Path) -> None:
    assert erc(environment, tmp_path, "check", "lab/exclaims")["passed"]


def test_a_bare_checkout_works_without_installation(environment: Path, tmp_path: Path) -> None:
    """Only third-party packages are there: our code comes from the folder."""
    paths = [str(ROOT), sysconfig.get_path("purelib")]
    code = f"import sys; sys.path[:0] = {paths!r}; sys.argv[1:] = ['list', 'predictors', '--json']\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code + "from harness.cli.main import main; main()"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert "majority" in {row["name"] for row in json.loads(done.stdout)["predictors"]}
