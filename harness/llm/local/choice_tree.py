"""Packs prompts and the choices that may follow them into rows in which no token is computed twice.

A row is a tree: prompts that begin alike share their beginning, the choices of a prompt hang at its end, and choices
that begin alike share that too. Every token sees only its own branch. Plain data; knows no model and no tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Candidates:
    """A prompt and what may follow it, as tokens."""

    context: tuple[int, ...]
    """At least one token."""
    continuations: tuple[tuple[int, ...], ...]
    """One per choice, each of at least one token."""

    @property
    def depth(self) -> int:
        """Tokens that a model reads for the longest choice; the last token of a choice is not read."""
        return len(self.context) + max(len(one) for one in self.continuations) - 1


@dataclass(slots=True)
class Row:
    """Tokens to compute in one pass after a header that all prompts of the row share."""

    n_header: int
    """Tokens of the header, which are not part of the row."""
    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    """Position in the row of the token before; -1: the header's end."""
    depths: list[int] = field(default_factory=list)
    """Position in its own sequence, header included."""
    members: list[int] = field(default_factory=list)
    """Numbers of the prompts in the row."""
    sources: list[int] = field(default_factory=list)
    """Per token of a choice: position in the row whose logits tell its probability."""
    targets: list[int] = field(default_factory=list)
    """Per token of a choice: the token."""
    owners: list[tuple[int, int]] = field(default_factory=list)
    """Per token of a choice: (number of the prompt, number of the choice)."""
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, number: int, candidates: Candidates) -> None:
        """Adds a prompt whose context is longer than the header and begins with it."""
        end = self._walk(-1, candidates.context[self.n_header :])
        for choice, continuation in enumerate(candidates.continuations):
            position = end
            for i, token in enumerate(continuation):
                if i:
                    position = self._walk(position, continuation[i - 1 : i])
                self.sources.append(position)
                self.targets.append(token)
                self.owners.append((number, choice))
        self.members.append(number)

    def _walk(self, position: int, tokens: Sequence[int]) -> int:
        """Returns the position of the last of some tokens after a position, adding those that are not there yet."""
        children = self._children
        for token in tokens:
            key = (position, token)
            found = children.get(key)
            if found is None:
                found = children[key] = len(self.tokens)
                self.depths.append(self.depths[position] + 1 if position >= 0 else self.n_header)
                self.tokens.append(token)
                self.parents.append(position)
            position = found
        return position

    def visible(self) -> NDArray[np.bool_]:
        """Returns which tokens of the row each token sees: itself and those before it on its branch.

        Returns:
            bool (n_tokens, n_tokens).
        """
        seen = np.zeros((len(self.tokens), len(self.tokens)), np.bool_)
        for position, parent in enumerate(self.parents):
            if parent >= 0:
                seen[position, : parent + 1] = seen[parent, : parent + 1]
            seen[position, position] = True
        return seen


def common_prefix(first: Sequence[object], second: Sequence[object]) -> int:
    """Returns how many tokens, or characters, two sequences share from their beginning."""
    for i, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return i
    return min(len(first), len(second))


def header_of(items: Sequence[Candidates]) -> tuple[int, ...]:
    """Returns the longest beginning that all contexts share, and that leaves each context a token of its own."""
    contexts = [item.context for item in items]
    n_shared = common_prefix(min(contexts), max(contexts))
    return contexts[0][: min(n_shared, min(map(len, contexts)) - 1)]


def pack_rows(items: Sequence[Candidates], n_header: int, n_tokens: int, n_prompts: int) -> list[Row]:
    """Returns rows that hold every prompt once, those that begin alike next to each other.

    Args:
        items: prompts that share a header.
        n_header: tokens of the header.
        n_tokens: a row takes no further prompt once it has as many tokens.
        n_prompts: prompts in a row at most.
    """
    rows: list[Row] = []
    for number in sorted(range(len(items)), key=lambda i: items[i].context):
        if not rows or len(rows[-1].tokens) >= n_tokens or len(rows[-1].members) >= n_prompts:
            rows.append(Row(n_header))
        rows[-1].add(number, items[number])
    return rows
