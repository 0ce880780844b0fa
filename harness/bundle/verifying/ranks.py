"""Corrections over all pairs, and what rejected pairs say of ranks: places left open, and letters."""

from __future__ import annotations

import numpy as np

from .scores import Array


def correct(p: Array, correction: str) -> Array:
    """Returns p-values (n_pairs,) corrected over their family; max-T is counted with the test itself."""
    n, order = p.size, np.argsort(p, kind="stable")
    rising = p[order]
    if correction == "holm":
        adjusted = np.maximum.accumulate(rising * (n - np.arange(n)))
    elif correction == "benjamini-hochberg":
        adjusted = np.minimum.accumulate((rising * n / (1 + np.arange(n)))[::-1])[::-1]
    else:
        adjusted = rising * (n if correction == "bonferroni" else 1)
    corrected = np.empty(n)
    corrected[order] = np.minimum(adjusted, 1.0)
    return corrected


def open_ranks(scores: Array, differ: Array) -> list[tuple[int, int]]:
    """Returns the best and the worst rank each system may have, given which pairs differ, bool (n, n)."""
    ranks = []
    for own, others in zip(scores, differ, strict=True):
        ranks.append((1 + int((others & (scores > own)).sum()), len(scores) - int((others & (scores < own)).sum())))
    return ranks


def letters(scores: Array, differ: Array) -> list[str]:
    """Returns letters such that two systems share one exactly if their pair does not differ.

    One letter for each largest set of systems of which no two differ, those with better members first.
    """
    order = [int(i) for i in np.argsort(-scores, kind="stable")]
    alike = [{b for b, j in enumerate(order) if b != a and not differ[i, j]} for a, i in enumerate(order)]
    groups: list[list[int]] = []
    _grow(set(), set(range(len(order))), set(), alike, groups)
    groups.sort()
    separator = "" if len(groups) <= 26 else " "
    of_place = [separator.join(_name(k) for k, group in enumerate(groups) if a in group) for a in range(len(order))]
    return [of_place[order.index(i)] for i in range(len(order))]


def _grow(inside: set[int], may: set[int], done: set[int], alike: list[set[int]], found: list[list[int]]) -> None:
    """Adds to `found` every largest set that holds `inside`, some of `may` and none of `done`.

    Source: Bron & Kerbosch 1973, algorithm 457, version 2.
    """
    if not may and not done:
        found.append(sorted(inside))
        return
    pivot = max(may | done, key=lambda a: len(may & alike[a]))
    for a in sorted(may - alike[pivot]):
        _grow(inside | {a}, may & alike[a], done & alike[a], alike, found)
        may, done = may - {a}, done | {a}


def _name(number: int) -> str:
    """Returns a to z, then aa, ab, ..."""
    return (_name(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)
