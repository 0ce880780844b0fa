"""What a server's JSON says, as a `Response`. Knows nothing of calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import ModelError
from harness.llm.request import Finish, Request, Response

NO_SCORES = (
    "choice scoring needs a server that echoes a plain prompt with its log-likelihoods (vLLM and SGLang do; chat "
    "endpoints never do); type: -P answers=generate"
)
"""What to say where the likelihood of a choice cannot be had."""

_FINISH: dict[str, Finish] = {"length": "length", "content_filter": "filter"}
"""By the protocol's `finish_reason`; anything else is "stop"."""


def read_answer(request: Request, sent: Mapping[str, Any], payload: object) -> Response:
    """Returns the response that the body of a successful call holds; time and attempts are not known here.

    Args:
        request: what was asked.
        sent: the body that asked it.
        payload: the body that came back, decoded.

    Raises:
        ValueError: the body is not an answer: another shape, or no choices in it.
        ModelError: mode "choice", and the server does not echo log-likelihoods.
    """
    try:
        if not isinstance(payload, Mapping):
            raise TypeError(f"not an object: {str(payload)[:100]!r}")
        if request.mode == "choice":
            response = _read_scores(request, sent, payload["choices"])
        elif request.prompt.form == "chat":
            response = _read_message(payload["choices"][0])
        else:
            response = _read_text(payload["choices"][0])
        return replace(response, **read_usage(payload.get("usage")))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        said = payload.get("error", "") if isinstance(payload, Mapping) else ""
        raise ValueError(f"{type(error).__name__} {error} {said}") from error


def read_usage(usage: object) -> dict[str, Any]:
    """Returns prompt, completion and cached tokens as fields of `Response`, int; None for what is not told."""
    told = usage if isinstance(usage, Mapping) else {}
    details = told.get("prompt_tokens_details")
    found = {
        "n_prompt_tokens": told.get("prompt_tokens"),
        "n_completion_tokens": told.get("completion_tokens"),
        "n_cached_tokens": details.get("cached_tokens") if isinstance(details, Mapping) else None,
    }
    return {name: value if isinstance(value, int) else None for name, value in found.items()}


def _read_message(choice: Mapping[str, Any]) -> Response:
    message = choice["message"]
    text, refusal = _join_parts(message.get("content")), message.get("refusal")
    finish = "filter" if refusal else _FINISH.get(choice.get("finish_reason") or "", "stop")
    first = ((choice.get("logprobs") or {}).get("content") or [{}])[0].get("top_logprobs") or []
    return Response(finish, text, refusal or "", first_token_logprobs=_by_text(first))


def _join_parts(content: object) -> str:
    """Returns the text of a message, which some servers send in parts; raises TypeError for anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise TypeError(f"content is of type {type(content).__name__}")
    return "".join(_join_parts(part["text"]) for part in content if part["type"] == "text")


def _read_text(choice: Mapping[str, Any]) -> Response:
    logprobs = choice.get("logprobs") or {}
    first = (logprobs.get("top_logprobs") or [{}])[0] or {}
    entries = [{"token": token, "logprob": logprob} for token, logprob in first.items()]
    finish = _FINISH.get(choice.get("finish_reason") or "", "stop")
    return Response(finish, choice["text"], first_token_logprobs=_by_text(entries))


def _by_text(entries: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Returns log-probabilities by token text; of tokens with the same text, the likeliest."""
    found: dict[str, float] = {}
    for entry in entries:
        token, logprob = entry["token"], float(entry["logprob"])
        found[token] = max(logprob, found.get(token, logprob))
    return found or None


def _read_scores(request: Request, sent: Mapping[str, Any], choices: Sequence[Mapping[str, Any]]) -> Response:
    """Reads echoed prompts: those of the choices, then, where wanted, those of the premise."""
    by_index = {choice["index"]: choice for choice in choices}
    endings = [request.prompt.continuation(choice) for choice in request.choices]
    if request.with_premise:
        endings += [request.prompt.premise.continuation(choice) for choice in request.choices]
    scores = []
    for i, (prompt, ending) in enumerate(zip(sent["prompt"], endings, strict=True)):
        if not by_index[i].get("logprobs") or not by_index[i]["text"].startswith(prompt):
            raise ModelError(NO_SCORES)
        scores.append(_sum_ending(by_index[i]["logprobs"], ending, n_written=sent["max_tokens"]))
    n = len(request.choices)
    return Response(
        "stop",
        choice_logprobs=tuple(logprob for logprob, _ in scores[:n]),
        choice_tokens=tuple(n_tokens for _, n_tokens in scores[:n]),
        premise_logprobs=tuple(logprob for logprob, _ in scores[n:]) or None,
    )


def _sum_ending(logprobs: Mapping[str, Any], ending: str, n_written: int) -> tuple[float, int]:
    """Returns log-likelihood and number of the tokens that an echoed text ends with.

    Offsets are counted from the end, because some servers count a start token that is not in the text. A token that
    reaches over the border belongs to the ending, so that no part of it goes unscored.

    Args:
        logprobs: tokens, their log-likelihoods, and where in the text they begin.
        ending: what is scored.
        n_written: tokens behind the echo, written by the model.
    """
    n = len(logprobs["tokens"]) - n_written
    begins, tokens, values = logprobs["text_offset"][:n], logprobs["tokens"][:n], logprobs["token_logprobs"][:n]
    ends = [*begins[1:], begins[-1] + len(tokens[-1])]
    border = ends[-1] - len(ending)
    inside = [value for value, end in zip(values, ends, strict=True) if end > border]
    return float(sum(inside)), len(inside)
