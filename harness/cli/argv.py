"""Options that take several values after one name, such as `--seed 0 1 2`, spelt out for the option parser."""

from __future__ import annotations

import re
from collections.abc import Sequence

GREEDY = {"--seed": re.compile(r"\d+"), "--dataset": re.compile(r"[^-].*")}
"""Options of `run` that repeat, and which following words are values of theirs; `compare` has `--dataset` alone."""


def expand_repeated(arguments: Sequence[str]) -> list[str]:
    """Returns `run X --seed 0 1 2` as `run X --seed 0 --seed 1 --seed 2`; other commands as they are.

    In `compare A B --dataset X Y` too; with options before A and B, words after `--dataset X` may be A and B.
    """
    systems_first = len(arguments) > 2 and not any(word.startswith("-") for word in arguments[1:3])
    if not arguments or not (arguments[0] == "run" or (arguments[0] == "compare" and systems_first)):
        return list(arguments)
    greedy = GREEDY if arguments[0] == "run" else {"--dataset": GREEDY["--dataset"]}
    expanded: list[str] = []
    current: str | None = None
    fresh = False
    for argument in arguments:
        if argument in greedy:
            current, fresh = argument, True
            expanded.append(argument)
        elif current is not None and (fresh or greedy[current].fullmatch(argument)):
            expanded += [argument] if fresh else [current, argument]
            fresh = False
        else:
            current = None
            expanded.append(argument)
    return expanded
