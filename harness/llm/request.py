"""One question to a model and its answer, as plain records; both can be written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.prompting import Prompt

Finish = Literal["stop", "length", "filter", "error"]
"""Why an answer ended: the model was done, the token limit, a content filter, or the call failed for good."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a text is generated."""

    max_new_tokens: int = 16
    temperature: float = 0.0
    """0: the likeliest token each time."""
    n_beams: int = 1
    """1: no beam search."""
    seed: int | None = None
    """Of sampling, sent where a server takes one; None where nothing is drawn."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question."""

    prompt: Prompt
    choices: tuple[str, ...]
    """Label names as shown in the prompt, in the order of the label set."""
    mode: Literal["generate", "choice"] = "generate"
    """Write an answer, or give the likelihood of each choice as continuation of the prompt."""
    decoding: Decoding = Decoding()
    """For mode "generate"."""
    constrained: bool = False
    """Mode "generate": only a choice may be written, where the back end can see to that."""
    with_premise: bool = False
    """Mode "choice": likelihoods given `prompt.premise` are wanted too."""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, or the reason why there is none. Log-likelihoods in nats."""

    finish: Finish
    text: str | None = None
    """What the model wrote, as it came; None in mode "choice" and where the call failed."""
    error: str = ""
    """Finish "error" or "filter": what the other side said, in one line, without secrets."""
    choice_logprobs: tuple[float, ...] | None = None
    """Mode "choice": log-likelihood of each choice, summed over its tokens, given the prompt."""
    choice_tokens: tuple[int, ...] | None = None
    """Mode "choice": number of tokens of each choice as continuation."""
    premise_logprobs: tuple[float, ...] | None = None
    """As `choice_logprobs`, given the premise."""
    first_token_logprobs: dict[str, float] | None = None
    """Mode "generate": log-probability of the likeliest first tokens, by their text, where the back end tells."""
    n_prompt_tokens: int | None = None
    """Tokens sent; None: the back end does not tell."""
    n_completion_tokens: int | None = None
    """Tokens written."""
    n_cached_tokens: int | None = None
    """Part of `n_prompt_tokens` that the provider took from its own cache, and prices lower."""
    seconds: float | None = None
    """Latency of the successful call; in a local batch, its time divided by its size."""
    n_attempts: int = 1
    """Calls it took, retries included."""


def guess_tokens(text: str) -> int:
    """Returns about how many tokens a text is, where nobody can count them: one for four bytes of UTF-8, rounded up.

    Source: OpenAI, help page "What are tokens and how to count them": a token is about four characters of English.
    """
    return -(-len(text.encode(errors="replace")) // 4)


IMAGE_TOKENS = 1000
"""About how many tokens an image of up to 512 pixels is, where nobody can count them: more than most models take.

Source: OpenAI, guide "Images and vision", one tile: 255 with gpt-4o, but 8,500 with gpt-4o-mini, at a price that is
lower in proportion; LLaVA-1.5, arXiv 2310.03744: 576.
"""
