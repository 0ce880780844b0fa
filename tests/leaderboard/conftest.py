"""Runs made up for a board: predictions of a chosen quality on the toy corpus, sealed by the real runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.runner import execute_run
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.schema import DialogueView, Prediction
from harness.schema.run import Job
from harness.store import Layout, RunStore

MakeRuns = Callable[..., list[Path]]


class Guesses(Predictor):
    """Is right with a given probability, seed by seed; it knows gold from a file that a real predictor never sees."""

    gold: dict[str, str]
    training: dict[str, object] | None = None
    answers: str | None = None
    """How it says that it reads answers."""

    def __init__(self, skill: float = 0.5, seed: int = 0) -> None:
        self.skill, self.seed = skill, seed

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        labels = dialogue.label_set.labels
        predictions = []
        for utterance in dialogue.targets:
            rng = np.random.default_rng([self.seed, *utterance.id.encode()])
            right = rng.random() < self.skill
            label = self.gold[utterance.id] if right else labels[int(rng.integers(len(labels)))]
            predictions.append(Prediction(utterance.id, label))
        return predictions

    def facts(self) -> dict[str, object]:
        told = {"answers": self.answers, "training": self.training}
        return {name: value for name, value in told.items() if value is not None}


@pytest.fixture
def settings(toy_corpus: Path, tmp_path: Path) -> Settings:
    return Settings(tmp_path / "results", toy_corpus)


@pytest.fixture
def store(settings: Settings) -> RunStore:
    return RunStore(Layout(settings.results_dir))


@pytest.fixture
def make_runs(settings: Settings, predictors: None) -> MakeRuns:
    """Seals runs of `lab/NAME`, one a seed, and returns their folders."""
    from harness.data import load_dataset
    from harness.predictors import PREDICTORS

    def make(
        name: str,
        skill: float,
        seeds: Sequence[int] = (0, 1, 2),
        answers: str | None = None,
        dataset: str = "toy",
        trained_on: tuple[str, ...] = (),
        training: dict[str, object] | None = None,
    ) -> list[Path]:
        gold = {
            k: v for d in ("toy", "sample") for k, v in load_dataset(d, settings.data_dir).split("test").gold.items()
        }
        full = f"lab/{name}"
        if full not in PREDICTORS:
            cls = type(f"Guesses_{name}", (Guesses,), {"gold": gold, "answers": answers, "training": training})
            register_predictor(
                full, card=PredictorCard(family="test", deterministic=len(seeds) == 1, trained_on=trained_on)
            )(cls)
        paths = []
        for seed in seeds:
            run = prepare(Job(full, {"skill": skill}, dataset, "test", seed), settings)
            outcome = execute_run(run, settings, lambda progress: None)
            assert outcome.status in ("done", "skipped"), outcome.detail
            paths.append(Path(outcome.path))
        return paths

    return make
