"""The command line in this process, in an empty folder, with the toy corpus at hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


@pytest.fixture
def cli(
    predictors: None,
    toy_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """Runs `erc-harness ARGUMENTS...` with the toy corpus as data and `tmp_path/results` for results."""
    here = tmp_path / "anywhere"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("ERC_DATA_DIR", str(toy_corpus))
    monkeypatch.setenv("ERC_RESULTS_DIR", str(tmp_path / "results"))

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["erc-harness", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        return Result(int(exit_.value.code or 0), captured.out, captured.err)

    return run


PLUGIN = """
from harness import DialogueView, Prediction, Predictor, PredictorCard, register_predictor

@register_predictor("lab/{name}", card=PredictorCard(family="simple", context="past", deterministic=True))
class Mine(Predictor):
    def __init__(self, word: str = "lovely", seed: int = 0) -> None:
        self.word = word

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return [Prediction(u.id, "joy" if self.word in u.text else "neutral") for u in dialogue.targets]
"""


@pytest.fixture
def write_plugin(tmp_path: Path) -> Callable[..., Path]:
    """Writes a plugin file outside the project that registers `lab/NAME`, with some of its text replaced."""

    def write(name: str, old: str = "", new: str = "") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(PLUGIN.format(name=name).replace(old, new))
        return path

    return write


@pytest.fixture
def plugin(write_plugin: Callable[..., Path]) -> Path:
    """A plugin file outside the project that registers `lab/mine`."""
    return write_plugin("mine")
