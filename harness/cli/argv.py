"""Options that take several values after one name, such as `--seed 0 1 2`, spelt out for the option parser."""

from __future__ import annotations

import re
from collections.abc import Sequence

GREEDY = {"--seed": re.compile(r"\d+"), "--dataset": re.compile(r"[^-].*")}
"""Options of `run` that repeat, and which following words are values of theirs."""


def expand_repeated(arguments: Sequence[str]) -> list[str]:
    """Returns `run X --seed 0 1 2` as `run X --seed 0 --seed 1 --seed 2`; other commands as they are."""
    if not arguments or arguments[0] != "run":
        return list(arguments)
    expanded: list[str] = []
    current: str | None = None
    fresh = False
    for argument in arguments:
        if argument in GREEDY:
            current, fresh = argument, True
            expanded.append(argument)
        elif current is not None and (fresh or GREEDY[current].fullmatch(argument)):
            expanded += [argument] if fresh else [current, argument]
            fresh = False
        else:
            current = None
            expanded.append(argument)
    return expanded
