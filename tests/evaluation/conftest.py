"""Predictors made for one test, and a way to run them on the toy corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.runner import execute_run
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.schema.run import Job, RunOutcome

RunIt = Callable[..., RunOutcome]


@pytest.fixture
def settings(toy_corpus: Path, tmp_path: Path) -> Settings:
    return Settings(tmp_path / "results", toy_corpus)


@pytest.fixture
def run_it(settings: Settings, predictors: None) -> RunIt:
    """Registers a class as `lab/test`, once, and runs it on the toy corpus."""

    def run(
        cls: type[Predictor],
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
        context: Any = "none",
        **change: Any,
    ) -> RunOutcome:
        from dataclasses import replace

        from harness.predictors import PREDICTORS

        if "lab/test" not in PREDICTORS:
            register_predictor("lab/test", card=PredictorCard(family="test", context=context))(cls)
        now = replace(settings, **change)
        return execute_run(prepare(Job("lab/test", params or {}, "toy", "test", seed), now), now, lambda progress: None)

    return run
