"""Options that take several values after one name, such as `--seed 0 1 2`, spelt out for the option parser."""

from __future__ import annotations

import re
from collections.abc import Sequence

NAME = re.compile(r"[^-].*")
RUN = {"--seed": re.compile(r"\d+"), "--dataset": NAME}
COMPARE = {"--dataset": NAME}
SLICES = {"--slice": NAME, "--other": NAME}
INSTRUCTIONS = {"--split": re.compile(r"train|dev|test"), "--test": NAME}
"""Options that repeat, by command, and which following words are values of theirs."""


def expand_repeated(arguments: Sequence[str]) -> list[str]:
    """Returns `run X --seed 0 1 2` as `run X --seed 0 --seed 1 --seed 2`; other commands as they are.

    In `tune X` and in `compare A B --dataset X Y` too; with options before A and B, words after `--dataset X` may be A
    and B. In `slices X --slice Y Z --other Y Z`, if X comes first, and in `data instructions X --split train dev --test
    Y Z` too.
    """
    greedy = _repeated(arguments)
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


def _repeated(arguments: Sequence[str]) -> dict[str, re.Pattern[str]]:
    """Returns which options of a command take several values."""
    if arguments[:1] in (["run"], ["tune"]):
        return RUN
    if arguments[:2] == ["data", "instructions"]:
        return INSTRUCTIONS
    if arguments[:1] == ["slices"] and len(arguments) > 1 and not arguments[1].startswith("-"):
        return SLICES
    systems_first = len(arguments) > 2 and not any(word.startswith("-") for word in arguments[1:3])
    return COMPARE if arguments[:1] == ["compare"] and systems_first else {}
