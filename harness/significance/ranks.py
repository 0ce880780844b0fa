"""Rank sets, the top group and letters, all read off one matrix of rejected pairs.

Not being told apart is not transitive, so these never become strict tiers.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.confusion import FloatArray, IntArray

BoolArray = NDArray[np.bool_]


def rank_sets(scores: FloatArray, rejected: BoolArray) -> tuple[IntArray, IntArray]:
    """Returns lowest and highest rank each system may have, int64 (n_systems,); rank 1 is best.

    Lowest = 1 + number of significantly better systems, highest = n_systems - number of significantly worse ones.
    Where rejections control the family-wise error, all true ranks lie inside at once with that confidence. Systems
    whose lowest rank is 1 form the top group, a confidence set for the best.
    Source: Mogstad, Romano, Shaikh & Wilhelm 2024.

    Args:
        scores: float64 (n_systems,), larger is better.
        rejected: bool (n_systems, n_systems), symmetric.
    """
    better = rejected & (scores[None, :] > scores[:, None])
    worse = rejected & (scores[None, :] < scores[:, None])
    return 1 + better.sum(axis=1), scores.size - worse.sum(axis=1)


def letters(scores: FloatArray, rejected: BoolArray) -> tuple[str, ...]:
    """Returns one string per system such that two systems share a letter exactly when their pair is not rejected.

    One letter per maximal clique of the graph "not rejected", a first for the clique with the best scores, then
    b to z, aa, ab, ... Beyond 26 cliques the letters of a system are separated by spaces.
    Source: Piepho 2004 (compact letter display); Bron & Kerbosch 1973 with pivoting.
    """
    place = np.empty(scores.size, np.int64)
    place[np.argsort(-scores, kind="stable")] = np.arange(scores.size)
    groups = sorted(sorted(int(place[i]) for i in clique) for clique in maximal_cliques(~rejected))
    separator = "" if len(groups) <= len(ascii_lowercase) else " "
    names: list[list[str]] = [[] for _ in range(scores.size)]
    for number, group in enumerate(groups):
        for position in group:
            names[position].append(letter(number))
    return tuple(separator.join(names[place[i]]) for i in range(scores.size))


def letter(number: int) -> str:
    """Returns a, ..., z, aa, ab, ... for 0, 1, 2, ..."""
    name = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, len(ascii_lowercase))
        name = ascii_lowercase[digit] + name
    return name


def maximal_cliques(adjacent: NDArray[Any]) -> list[list[int]]:
    """Returns every maximal clique of an undirected graph given as bool (n, n); the diagonal is ignored."""
    n = len(adjacent)
    neighbours = [{j for j in range(n) if j != i and adjacent[i, j]} for i in range(n)]
    found: list[list[int]] = []

    def extend(clique: list[int], candidates: set[int], excluded: set[int]) -> None:
        if not candidates and not excluded:
            found.append(clique)
            return
        pivot = max(candidates | excluded, key=lambda i: len(candidates & neighbours[i]))
        for i in sorted(candidates - neighbours[pivot]):
            extend([*clique, i], candidates & neighbours[i], excluded & neighbours[i])
            candidates = candidates - {i}
            excluded = excluded | {i}

    extend([], set(range(n)), set())
    return found
