"""What a failed call means: try again, go slower, this item alone, or nobody can go on. Nothing secret is quoted."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from harness.redaction import redact

Kind = Literal["transient", "overload", "item", "filter", "model", "stop"]
"""Try again; try again and slower; the item fails alone; it was filtered; no call can succeed; no call for now."""

_TRANSIENT = {408, 409, 425}
"""Beside every 5xx. Source: RFC 9110, section 15, RFC 8470 for 425; 409 as the official client does."""
_OVERLOAD = {429, 503, 529}
"""529 is what some providers say for 503."""
_FILTERED = ("content_filter", "content_policy_violation", "responsibleaipolicyviolation")
"""Error codes of OpenAI and Azure OpenAI for a prompt that their filter refuses."""
_FLAGGED = re.compile(r"(?i)\bflagged\b|\bmoderation\b")
"""In the text of a 403: the prompt is meant, not the key. Source: OpenRouter, API reference, errors."""
_UNPAID = ("insufficient_quota", "billing_hard_limit_reached")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call gave no answer."""

    kind: Kind
    error: str
    """One line, without secrets."""
    status: int | None = None
    """HTTP status; None where there was no whole answer."""
    retry_after: float | None = None
    """Seconds for which the server wants no calls."""


def classify(error: Exception, secrets: Sequence[str]) -> Fault | None:
    """Returns what an exception of a call means; None where it is none of the other side's.

    Args:
        error: what the client raised.
        secrets: values that must not be quoted.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        fault = classify_status(error.status_code, error.body if error.body is not None else error.response.text)
        return Fault(fault.kind, redact(fault.error, secrets), fault.status, read_retry_after(error.response.headers))
    if isinstance(error, OSError | openai.APIConnectionError):  # a TimeoutError is an OSError
        return Fault("transient", redact(_describe_break(error), secrets))
    if isinstance(error, (ValueError, *_transport_errors())):  # of reading an answer, down to its HTTP
        return Fault("transient", redact(f"an answer that cannot be read: {error}", secrets))
    return None


def _describe_break(error: BaseException) -> str:
    """Returns why a connection gave nothing, by what is at the bottom: the client calls most of it a timeout."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    said = next((text for link in reversed(chain) if (text := str(link))), "")
    if any(isinstance(link, ConnectionRefusedError) for link in chain):
        return "connection refused"
    if any(isinstance(link, TimeoutError) for link in chain):
        return "no answer in time"
    if any(isinstance(link, OSError) and not isinstance(link, ConnectionError) for link in chain[-1:]):
        return f"no connection: {said}"
    return f"connection cut: {said}"


def _transport_errors() -> tuple[type[Exception], ...]:
    """Returns what the transport raises and the client lets through: answers that are no HTTP, among others."""
    try:
        from aiohttp import ClientError
    except ImportError:
        return ()
    return (ClientError,)


def classify_status(status: int, body: object) -> Fault:
    """Returns what an HTTP status of 400 or more means; the text is the server's, secrets included."""
    text, codes = _read_error(body)
    error = f"HTTP {status}: {text}"
    kind: Kind = "item"
    if status == 402 or (status == 429 and codes & set(_UNPAID)):
        kind = "stop"
    elif status in _OVERLOAD:
        kind = "overload"
    elif status in _TRANSIENT or status >= 500:
        kind = "transient"
    elif codes & set(_FILTERED) or (status == 403 and _FLAGGED.search(text)):
        kind = "filter"
    elif status in (401, 403) or "model_not_found" in codes:
        kind = "model"
    return Fault(kind, error, status)


def _read_error(body: object) -> tuple[str, set[str]]:
    """Returns the message of an error body and its codes in lower case, whatever dialect it is in."""
    error: Any = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return str(error), set()
    inner = error.get("innererror")
    codes = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, Mapping) else None]
    text = error.get("message") or error.get("detail") or str(dict(error))
    return str(text), {code.lower() for code in codes if isinstance(code, str)}


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that an answer asks to wait, None where it does not.

    Source: RFC 9110, section 10.2.3, seconds or an HTTP date; `retry-after-ms` of Azure OpenAI.
    """
    milliseconds, plain = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1000.0
        elif plain is None:
            return None
        elif re.fullmatch(r"\s*[\d.]+\s*", plain):
            seconds = float(plain)
        else:
            seconds = parsedate_to_datetime(plain).timestamp() - time.time()
    except ValueError:
        return None  # not a time: as if nothing had been said
    return max(0.0, seconds) if math.isfinite(seconds) else None
