"""Sums over generations, against sums made by hand."""

from __future__ import annotations

from harness.evaluation.usage import RunUsage, sum_usage
from harness.schema import Generation


def generation(rule: str, response: str = "", **told: object) -> Generation:
    return Generation(rule, response or rule, "p" * 64, **told)  # type: ignore[arg-type]


def test_what_is_not_told_is_counted_and_not_taken_for_nothing() -> None:
    made = [
        generation("label", "a", n_prompt_tokens=10, n_completion_tokens=2, seconds=1.0, usd=0.5, n_attempts=3),
        generation("label", "b", n_prompt_tokens=20, seconds=3.0),
        generation("no-label"),
        generation("json", n_prompt_tokens=5, n_completion_tokens=4, seconds=8.0, usd=0.25, cached=True),
    ]
    assert sum_usage(made) == RunUsage(
        n_predictions=4,
        n_answers=4,
        n_cached=1,
        n_attempts=6,
        n_prompt_tokens=35,
        n_completion_tokens=6,
        n_tokens_unknown=2,
        usd=0.75,
        n_usd_unknown=2,
        median_seconds=3.0,
        rules={"label": 2, "no-label": 1, "json": 1},
    )


def test_an_answer_that_several_predictions_share_counts_once_and_as_first_used() -> None:
    first = generation("label", "a", n_prompt_tokens=10, n_completion_tokens=2, usd=0.5)
    again = generation("label", "a", n_prompt_tokens=10, n_completion_tokens=2, usd=0.5, cached=True)
    usage = sum_usage([first, again])
    assert (usage.n_predictions, usage.n_answers, usage.n_cached, usage.usd) == (2, 1, 0, 0.5)


def test_no_latency_is_told() -> None:
    assert sum_usage([generation("label")]).median_seconds is None
