"""What a run with a language model took: calls, tokens, dollars, time, and which rules read its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from harness.schema import Generation


@dataclass(frozen=True, slots=True)
class RunUsage:
    """Sums over the different answers behind a run, whenever they were asked for.

    What is not told is left out of sums and counted beside them. Equal prompts share one answer, which counts once, but
    calls, tokens and dollars as often as it was asked for: shards of a run may ask the same at the same time.
    """

    n_predictions: int
    n_answers: int
    """Different answers."""
    n_cached: int
    """Of these, stored before the session that used them: by another run, or by an earlier session of this one."""
    n_attempts: int
    """Calls, retries included."""
    n_prompt_tokens: int
    """Read, as far as told."""
    n_completion_tokens: int
    """Written, as far as told."""
    n_tokens_unknown: int
    """Answers of which some number of tokens is not told."""
    usd: float
    """US dollars, as far as known."""
    n_usd_unknown: int
    """Answers whose price is not known."""
    median_seconds: float | None
    """Latency, over all answers that tell it."""
    rules: dict[str, int]
    """Number of predictions by the rule that read them, most frequent first."""


def sum_usage(generations: Iterable[Generation]) -> RunUsage:
    """Returns what the generations of a run took."""
    made = list(generations)
    uses: dict[str, list[Generation]] = {}
    for generation in made:
        uses.setdefault(generation.response, []).append(generation)
    answers = [g for same in uses.values() for g in [g for g in same if not g.cached] or same[:1]]
    seconds = [g.seconds for g in answers if g.seconds is not None]
    return RunUsage(
        n_predictions=len(made),
        n_answers=len(uses),
        n_cached=sum(g.cached for g in answers),
        n_attempts=sum(g.n_attempts for g in answers),
        n_prompt_tokens=sum(g.n_prompt_tokens or 0 for g in answers),
        n_completion_tokens=sum(g.n_completion_tokens or 0 for g in answers),
        n_tokens_unknown=sum(None in (g.n_prompt_tokens, g.n_completion_tokens) for g in answers),
        usd=sum(g.usd or 0.0 for g in answers),
        n_usd_unknown=sum(g.usd is None for g in answers),
        median_seconds=median(seconds) if seconds else None,
        rules=dict(Counter(g.rule for g in made).most_common()),
    )
