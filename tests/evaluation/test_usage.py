"""Sums over generations, against sums made by hand."""

from __future__ import annotations

from harness.evaluation.usage import RunUsage, sum_usage
from harness.schema import Generation


def generation(rule: str, **told: object) -> Generation:
    return Generation(rule, "r" * 64, "p" * 64, **told)  # type: ignore[arg-type]


def test_what_is_not_told_is_counted_and_not_taken_for_nothing() -> None:
    made = [
        generation("label", n_prompt_tokens=10, n_completion_tokens=2, seconds=1.0, usd=0.5, n_attempts=3),
        generation("label", n_prompt_tokens=20, n_completion_tokens=1, seconds=3.0),
        generation("no-label"),
        generation("json", n_prompt_tokens=99, n_completion_tokens=99, seconds=8.0, usd=0.0, cached=True, n_attempts=7),
    ]
    assert sum_usage(made) == RunUsage(
        n_answers=4,
        n_cached=1,
        n_attempts=5,
        n_prompt_tokens=30,
        n_completion_tokens=3,
        n_tokens_unknown=1,
        usd=0.5,
        n_usd_unknown=2,
        median_seconds=3.0,
        rules={"label": 2, "no-label": 1, "json": 1},
    )


def test_no_latency_is_told() -> None:
    assert sum_usage([generation("label")]).median_seconds is None
