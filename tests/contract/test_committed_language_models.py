"""The committed rows of the tiny language model: anyone can build the model anew and get the same answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.runner import execute_run
from harness.features.weights import content_name
from harness.leaderboard.spec import load_spec
from harness.llm.local.tiny import build_tiny_llama, sample_texts
from harness.schema.run import Job
from harness.store import Layout, RunStore, StoredRun
from harness.store.run_store import read_manifest

COMMITTED = Layout(Path(__file__).resolve().parents[2] / "results")

JOBS = [job for job in load_spec("sample", COMMITTED).jobs() if "model" in job.params and job.seed == 0]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_tiny_llama(folder / "tiny-random-llama", sample_texts())
    return folder


def without_versions(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the predictor says of itself, less the versions of libraries, which may be others here."""
    return {**facts, "model": {k: v for k, v in facts["model"].items() if k not in ("torch", "transformers")}}


def test_the_board_names_the_model_by_its_content(models: Path) -> None:
    assert {job.params["model"] for job in JOBS} == {content_name(models / "tiny-random-llama")}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.predictor}-{job.params.get('answers', 'generate')}")
def test_the_same_answers_come_again(
    job: Job, models: Path, tmp_path: Path, predictors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERC_MODELS_DIR", str(models))
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path))
    settings = Settings(tmp_path / "results")
    outcome = execute_run(prepare(job, settings), settings, lambda progress: None)
    assert outcome.status == "done", outcome.detail
    again = StoredRun(Path(outcome.path), read_manifest(Path(outcome.path) / "manifest.json"))
    committed = RunStore(COMMITTED).find(f"runs/sample/test/{job.predictor}/{outcome.run_id}")
    assert without_versions(again.manifest.predictor.facts) == without_versions(committed.manifest.predictor.facts)
    expected, got = committed.predictions(), again.predictions()
    assert [(p.label, p.status) for p in got.values()] == [(p.label, p.status) for p in expected.values()]
    for utterance, prediction in expected.items():
        assert got[utterance].scores == (
            None if prediction.scores is None else pytest.approx(prediction.scores, abs=1e-4)
        )
    for utterance, generation in committed.generations().items():
        other = again.generations()[utterance]
        assert (other.rule, other.prompt, other.exemplars) == (generation.rule, generation.prompt, generation.exemplars)
