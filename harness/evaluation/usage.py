"""What a run with a language model took: calls, tokens, dollars, time, and which rules read its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from harness.schema import Generation


@dataclass(frozen=True, slots=True)
class RunUsage:
    """Sums over the generations of a run; what is not told is left out of sums and counted beside them."""

    n_answers: int
    n_cached: int
    """Answers that were stored before: this run called nobody for them."""
    n_attempts: int
    """Calls behind the other answers, retries included."""
    n_prompt_tokens: int
    """Read for the other answers, as far as told."""
    n_completion_tokens: int
    """Written for the other answers, as far as told."""
    n_tokens_unknown: int
    """Other answers of which tokens are not told."""
    usd: float
    """US dollars that the other answers cost, as far as known."""
    n_usd_unknown: int
    """Other answers whose price is not known."""
    median_seconds: float | None
    """Latency, over all answers that tell it."""
    rules: dict[str, int]
    """Number of answers by the rule that read them, most frequent first."""


def sum_usage(generations: Iterable[Generation]) -> RunUsage:
    """Returns what the generations of a run took."""
    made = list(generations)
    asked = [g for g in made if not g.cached]
    seconds = [g.seconds for g in made if g.seconds is not None]
    return RunUsage(
        n_answers=len(made),
        n_cached=len(made) - len(asked),
        n_attempts=sum(g.n_attempts for g in asked),
        n_prompt_tokens=sum(g.n_prompt_tokens or 0 for g in asked),
        n_completion_tokens=sum(g.n_completion_tokens or 0 for g in asked),
        n_tokens_unknown=sum(g.n_prompt_tokens is None for g in asked),
        usd=sum(g.usd or 0.0 for g in asked),
        n_usd_unknown=sum(g.usd is None for g in asked),
        median_seconds=median(seconds) if seconds else None,
        rules=dict(Counter(g.rule for g in made).most_common()),
    )
