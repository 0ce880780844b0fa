"""Patience is counted in the log, so that an interruption changes nothing."""

from __future__ import annotations

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from harness.llm.tuning.watching import Patience


@pytest.mark.parametrize(
    ("scores", "stops"), [([0.5], False), ([0.5, 0.4], False), ([0.5, 0.4, 0.45], True), ([0.5, 0.4, 0.6], False)]
)
@pytest.mark.parametrize("event", ["on_train_begin", "on_evaluate"])
def test_training_ends_after_two_looks_without_a_better_score(event: str, scores: list[float], stops: bool) -> None:
    log = [row for step, score in enumerate(scores) for row in ({"loss": 1.0, "step": step}, {"eval_score": score})]
    control = TrainerControl()
    getattr(Patience(2), event)(TrainingArguments(use_cpu=True), TrainerState(log_history=log), control)
    assert control.should_training_stop == stops
