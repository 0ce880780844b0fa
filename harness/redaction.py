"""Text of others made fit to be quoted: one line, not long, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST_TEXT = 300
"""Characters that are quoted."""

_SECRETS = re.compile(r"(?i)bearer\s+[^\s'\",}]+|\bsk-[\w*.-]+|(?<=key provided: )\S+|(?<=api[-_]key[=:])\S+")


def redact(text: str, secrets: Sequence[str]) -> str:
    """Returns the text in one line, cut to what is worth quoting, with known keys and what looks like one replaced."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return _SECRETS.sub("[secret]", " ".join(text.split()))[:_LONGEST_TEXT]
