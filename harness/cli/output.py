"""Printing for people and for scripts; stdout carries the answer, stderr everything else.

The one place where text of others, such as names, model answers and errors, is made safe for a terminal. Secrets are
hidden in everything that goes to stderr.
"""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from harness.redaction import hide_secrets, is_command


def print_json(document: object) -> None:
    """Prints one JSON document; NaN and infinities become null, what a terminal would obey its escape."""
    text = json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False)
    print("".join(json.dumps(c)[1:-1] if c != "\n" and is_command(c) else c for c in text))


def print_text(text: str) -> None:
    """Prints lines on stdout, without what a terminal would obey."""
    print(_shown(text.rstrip("\n")))


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Prints records as an aligned table, one column a key; nothing for no record."""
    from tabulate import tabulate

    if not rows:
        print("(none)")
        return
    cells = [[clean(value) for value in row.values()] for row in rows]
    print(tabulate(cells, headers=[key.replace("_", " ") for key in rows[0]], tablefmt="simple", disable_numparse=True))


def note(text: str) -> None:
    """Prints a remark of one line on stderr."""
    print(hide_secrets(clean(text)), file=sys.stderr)


def print_error(text: str) -> None:
    """Prints what went wrong on stderr, in as many lines as it has."""
    print(hide_secrets(_shown(text.rstrip("\n"))), file=sys.stderr)


def print_traceback(error: BaseException) -> None:
    """Prints the traceback of a bug on stderr."""
    print_error("".join(traceback.format_exception(error)))


def clean(value: object) -> str:
    """Returns a value as one line without what a terminal would obey; None and NaN as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return _shown(str(value).replace("\n", " ").replace("\t", " "))


def _shown(text: str) -> str:
    return (
        text if text.isascii() and text.isprintable() else "".join(c for c in text if c in "\n\t" or not is_command(c))
    )


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
