"""`show`: what a score would be if the unanswered had been answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def silent(write_plugin: Callable[..., Path]) -> Path:
    """A predictor that has no label unless the utterance is lovely."""
    return write_plugin(
        "silent",
        'Prediction(u.id, "joy" if self.word in u.text else "neutral")',
        'Prediction(u.id, "joy") if self.word in u.text else Prediction(u.id, None, status="unparsed")',
    )


def test_bounds_stand_where_answers_are_missing(cli: Cli, silent: Path) -> None:
    run = cli("run", "lab/silent", "--dataset", "toy", "--plugin", silent, "--json").json["runs"][0]
    shown = cli("show", run["run_id"], "--json").json
    assert shown["coverage"] < 1
    counted = {name for name in shown["metrics"] if name not in ("ece", "brier", "nll")}
    assert set(shown["bounds"]) == counted
    for name, bound in shown["bounds"].items():
        assert set(bound) == {"right", "wrong", "neutral"}
        assert bound["wrong"] == shown["metrics"][name] <= bound["right"]
    n, missing = shown["n_utterances"], shown["statuses"]["unparsed"]
    accuracy = shown["bounds"]["accuracy"]
    assert accuracy["right"] == pytest.approx(accuracy["wrong"] + missing / n, abs=1e-12)
    assert accuracy["wrong"] < accuracy["neutral"] < accuracy["right"]

    bound = shown["bounds"]["weighted_f1"]
    lines = [line for line in cli("show", run["run_id"]).out.splitlines() if "would be" in line]
    assert lines == [
        f"weighted_f1 counts what has no label as wrong: {100 * bound['wrong']:.2f}; it would be "
        f"{100 * bound['right']:.2f} if all of that were right, {100 * bound['neutral']:.2f} if 'neutral'"
    ]


def test_no_bounds_at_full_coverage(cli: Cli) -> None:
    run = cli("run", "majority", "--dataset", "toy", "--json").json["runs"][0]
    assert cli("show", run["run_id"], "--json").json["bounds"] is None
    shown = cli("show", run["run_id"]).out
    assert "coverage 100.0 %" in shown
    assert "would be" not in shown
