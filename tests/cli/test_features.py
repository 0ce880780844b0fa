"""`features extract` and `list encoders`: what scripts read, what people see, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import UnknownNameError


def ask(*arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    return json.loads(done.stdout)


def test_features_are_made_once(words_encoder: str) -> None:
    made = ask("features", "extract", words_encoder, "--dataset", "sample")
    assert (made["encoder"], made["dataset"]) == (words_encoder, "sample")
    assert [row["split"] for row in made["splits"]] == ["train", "dev", "test"]
    for row in made["splits"]:
        assert np.load(row["path"]).shape == (row["utterances"], row["layers"], row["width"])
    before = {row["path"]: Path(row["path"]).stat().st_mtime_ns for row in made["splits"]}
    assert ask("features", "extract", words_encoder, "--dataset", "sample") == made
    assert {path: Path(path).stat().st_mtime_ns for path in before} == before


def test_encoders_are_listed() -> None:
    rows = {row["name"]: row for row in ask("list", "encoders")["encoders"]}
    assert (rows["minilm"]["kind"], rows["minilm-tuned"]["kind"], rows["file"]["kind"]) == (
        "frozen", "tuned", "precomputed"
    )  # fmt: skip
    assert rows["hf"]["argument"] == "NAME_OR_FOLDER"
    assert all(row["error"] is None for row in rows.values())


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown encoder 'minilmm'; did you mean 'minilm'"):
        CliRunner().invoke(app, ["features", "extract", "minilmm", "--dataset", "sample"], catch_exceptions=False)
