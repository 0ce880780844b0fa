"""How a language model's answer came about: addresses and counts, never a text of the corpus or of the model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Generation:
    """The record behind one prediction of a language model."""

    rule: str
    """Name of the rule that read the answer, see `harness.llm.reading.parsing`."""
    response: str
    """Address of the answer in the response store, SHA-256 in hex."""
    prompt: str
    """SHA-256 in hex of exactly what was sent."""
    exemplars: tuple[str, ...] = ()
    """Ids of the training utterances shown, in order."""
    n_prompt_tokens: int | None = None
    """Tokens read; None: not told."""
    n_completion_tokens: int | None = None
    """Tokens written; None: not told."""
    seconds: float | None = None
    """Latency of the call that brought the answer; None: not told."""
    usd: float | None = None
    """Price of that call in US dollars, whichever run paid it; None: unknown."""
    n_attempts: int = 1
    """Calls it took, retries included."""
    cached: bool = False
    """Whether the answer had been stored before, so that this run called nobody."""
