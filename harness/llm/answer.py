"""What came back from asking, and what asking would take."""

from __future__ import annotations

from dataclasses import dataclass

from harness.llm.request import Request, Response


@dataclass(frozen=True, slots=True)
class Answer:
    """A request and what came back."""

    request: Request
    key: str
    """Under which the response is stored."""
    rendered_sha256: str
    """SHA-256 of what the model read, 64 hex digits."""
    response: Response
    cached: bool
    """Whether nobody was asked: it was stored, or an equal request came earlier."""
    usd: float | None
    """Price of the response in US dollars, whenever it was paid; None where no price or no token count is known."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A response that has come and is stored."""

    key: str
    response: Response
    usd: float | None
    """Its price in US dollars; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What requests would cost, if every call worked at once."""

    n_requests: int
    n_cached: int
    """Answered from the store, or by an earlier equal request."""
    n_prompt_tokens: int
    """Of the others."""
    n_completion_tokens_max: int
    """The token limit of each of the others, summed."""
    approximate: bool
    """Whether prompt tokens were guessed from the length of the text."""
    usd_low: float | None
    """US dollars if every answer is one token; None: no price is known."""
    usd_high: float | None
    """US dollars if every answer is as long as it may be."""
