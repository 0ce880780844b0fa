"""Text of others made fit to be shown: without secrets, nothing that a terminal obeys, and short where it is quoted."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST_TEXT = 300
"""Characters that are quoted."""

_SECRETS = re.compile(
    r"""(?ix)
    \b(?:bearer|basic)\s+[^\s'",}]{6,} | \bsk-[\w*.-]+ | \bhf_[a-z0-9]{16,} | \bgh[pousr]_\w{20,} | \bAIza[\w-]{30,}
    | \bAKIA[A-Z0-9]{16}\b | \beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]* | (?<=key\ provided:\ )\S+
    | (?P<kept>api[-_]?key["']?\s*[=:]\s*["']?)(?!\.\.\.)[^\s"',&}]+
    | (?P<query>[?&](?:\w*key|\w*token|\w*secret|password|sig|signature)=)[^\s&"']+
    | (?<=://)[^\s/@]+(?=@)
    """
)
"""What looks like a key: of OpenAI, the hub, GitHub, Google and Amazon, a JSON web token, what stands behind "Bearer"
or "api_key=" but for dots, in the query of an address, or before its host."""

_SECRET_NAMES = re.compile(r"(?i)(^|_)(key|token|secret|password)$")
"""Names of environment variables whose values nothing may show."""

_SHORTEST_SECRET = 8
"""Characters; shorter values of such variables are words or switches."""

_COMMANDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that a terminal obeys rather than shows: control (ESC is one), format (bidirectional overrides),
surrogates, line and paragraph separators."""


def environment_secrets() -> tuple[str, ...]:
    """Returns the values that nothing may show: keys, tokens and passwords in the environment, the longest first."""
    found = {value for name, value in os.environ.items() if _SECRET_NAMES.search(name)}
    return tuple(sorted((value for value in found if len(value) >= _SHORTEST_SECRET), key=len, reverse=True))


def hide_secrets(text: str, secrets: Sequence[str] = ()) -> str:
    """Returns the text with given keys, those of the environment, and what looks like one replaced."""
    return _hide(text, (*secrets, *environment_secrets()))


def hide_secrets_in(value: Any) -> Any:
    """Returns a value as JSON has it, with secrets hidden in every text of it."""
    secrets = environment_secrets()

    def hidden(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {hidden(key): hidden(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [hidden(inner) for inner in value]
        return _hide(value, secrets) if isinstance(value, str) else value

    return hidden(value)


def _hide(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return _SECRETS.sub(lambda found: f"{found['kept'] or found['query'] or ''}[secret]", text)


def redact(text: str, secrets: Sequence[str]) -> str:
    """Returns the text in one line, cut to what is worth quoting, with known keys and what looks like one replaced."""
    return hide_secrets(" ".join(text.split()), secrets)[:_LONGEST_TEXT]


def is_command(character: str) -> bool:
    """Returns whether a terminal would obey a character rather than show it."""
    return unicodedata.category(character) in _COMMANDS
