"""Printing for people and for scripts; stdout carries the answer, stderr everything else."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

CONTROL = dict.fromkeys((*range(32), *range(127, 160)))
"""Control characters, escape sequences included, never reach a terminal."""


CONTROL_IN_LINES = {code: None for code in CONTROL if chr(code) not in "\n\t"}
"""The same for text of several lines."""


def print_json(document: object) -> None:
    """Prints one JSON document; NaN and infinities become null."""
    print(json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False))


def print_text(text: str) -> None:
    """Prints lines on stdout, without control characters."""
    print(text.rstrip("\n").translate(CONTROL_IN_LINES))


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Prints records as an aligned table, one column a key; nothing for no record."""
    from tabulate import tabulate

    if not rows:
        print("(none)")
        return
    cells = [[clean(value) for value in row.values()] for row in rows]
    print(tabulate(cells, headers=[key.replace("_", " ") for key in rows[0]], tablefmt="simple", disable_numparse=True))


def note(text: str) -> None:
    """Prints a remark on stderr."""
    print(clean(text), file=sys.stderr)


def clean(value: object) -> str:
    """Returns a value as one line without control characters; None and NaN as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return str(value).replace("\n", " ").translate(CONTROL)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
