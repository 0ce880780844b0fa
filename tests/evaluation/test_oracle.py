"""What choosing the epoch on the split to predict would have given: apart, marked, and changing nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import f1_score

from harness.data import load_dataset
from harness.evaluation.executors import ExecutorSettings, build_executor
from harness.evaluation.jobs import Settings, plan
from harness.evaluation.oracle import best_on_target
from harness.predictors.plugins import load_plugins
from harness.schema import Prediction
from harness.schema.run import Job


def test_the_best_epoch_is_found_and_the_first_of_equals() -> None:
    split = load_dataset("sample").split("test")
    gold = dict(split.gold)
    first, second = split.label_set.labels[:2]

    def answers(wrong: int) -> list[list[Prediction]]:
        other = {label: first if label != first else second for label in split.label_set.labels}
        return [[Prediction(id_, other[label] if i < wrong else label)] for i, (id_, label) in enumerate(gold.items())]

    found = best_on_target([(1, answers(9)), (2, answers(3)), (3, answers(3))], split, "weighted_f1")
    told = [answer[0].label for answer in answers(3)]
    expected = f1_score(list(gold.values()), told, average="weighted", zero_division=0)
    assert found == {"selected_on": "test", "metric": "weighted_f1", "score": pytest.approx(expected, abs=1e-6),
                     "epoch": 2, "n_epochs": 3}  # fmt: skip
    assert best_on_target([], split, "weighted_f1") is None


def test_a_run_keeps_it_apart_and_no_checkpoints(toy_corpus: Path, tmp_path: Path, words_encoder: str) -> None:
    pytest.importorskip("torch")
    load_plugins()
    settings = Settings(tmp_path / "results", toy_corpus)
    job = Job("bc-lstm", {"encoder": words_encoder, "epochs": 3, "hidden": 8}, str(toy_corpus / "toy"), "test", 0)
    serial = build_executor("serial", ExecutorSettings())
    (outcome,) = serial.execute(plan([job], settings), settings, lambda *_: None, lambda *_: None)
    assert outcome.status == "done", outcome.detail
    manifest: dict[str, Any] = json.loads((Path(outcome.path) / "manifest.json").read_text())
    facts = manifest["predictor"]["facts"]
    assert facts["oracle"]["selected_on"] == "test" and facts["oracle"]["n_epochs"] == 3
    assert facts["features"]["text"]["kind"] == "frozen"
    assert sorted(path.name for path in Path(outcome.path).iterdir()) == [
        "dialogues.parquet", "manifest.json", "predictions.parquet"
    ]  # fmt: skip
