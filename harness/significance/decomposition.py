"""Where the variance of a mean score comes from: dialogues, seeds, prompt wordings, exemplar draws, and their mixtures.

Tells which of them to have more of. Must not know what a factor stands for, nor how runs were made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.errors import ConfigError
from harness.metrics import Metric, totals_of
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.influence import influence_values
from harness.significance.units import DIALOGUE


@dataclass(frozen=True)
class VarianceParts:
    """The variance of one system's mean score over crossed factors, in squared fractions."""

    levels: Mapping[str, int]
    """How many levels of each factor were run; dialogues last."""
    components: Mapping[tuple[str, ...], float]
    """Variance of a single draw: ("seed",) of the seed alone, ("seed", "dialogue") of their interaction beyond both,
    and so on for every set of factors. Unbiased, so a small one may come out below 0."""

    def part(self, *factors: str, levels: Mapping[str, int] | None = None) -> float:
        """Returns what one set of factors adds to the variance of the mean, not below 0, at other levels if given."""
        n = {**self.levels, **(levels or {})}
        return max(self.components[factors], 0.0) / math.prod(n[factor] for factor in factors)

    def se(self, levels: Mapping[str, int] | None = None) -> float:
        """Returns the standard error of the mean score, at other numbers of levels if given, such as {"seed": 10}."""
        return math.sqrt(sum(self.part(*factors, levels=levels) for factors in self.components))

    def gain(self, factor: str) -> float:
        """Returns by which share the variance shrinks with twice as many levels of a factor, 0 to 1/2."""
        whole = self.se() ** 2
        return 1 - self.se({factor: 2 * self.levels[factor]}) ** 2 / whole if whole else 0.0

    @property
    def advice(self) -> str:
        """One line: which factor to have more of."""
        order = sorted(self.levels, key=lambda factor: (-self.gain(factor), factor))
        told = ", ".join(f"by {self.gain(f):.0%} with twice the {self.levels[f]} {f}s" for f in order)
        return f"more {order[0]}s: the standard error is {100 * self.se():.2f} points, its square shrinks {told}"


def decompose_variance(counts: IntArray, metric: Metric, factors: Sequence[str]) -> VarianceParts:
    """Returns the variance components of one system's score over dialogues and the factors it was run with.

    Unit: the dialogue. Assumes that every combination of levels was run once on the same dialogues, and that levels
    are draws from many (fixed choices, such as two named prompts, have no variance to speak of). Every component has a
    closed form; the metric enters through its influence values. With seeds as the only factor, the parts of seed and
    seed x dialogue are those that procedure scope adds up.

    Args:
        counts: int64 (n_1, ..., n_k, n_dialogues, n_labels, n_labels + 1), one axis per factor.
        metric: what to score.
        factors: names of the first k axes, in the singular, such as ("seed", "prompt wording", "exemplar draw").

    Raises:
        ConfigError: names and axes do not match, or a factor has a single level.
    """
    names = (*factors, DIALOGUE)
    if counts.ndim != len(names) + 2 or len(set(names)) != len(names) or min(counts.shape[: len(names)]) < 2:
        raise ConfigError(
            f"factors are {list(factors)!r} and counts have shape {counts.shape!r}; give one name per axis before the "
            f"dialogues, none twice, none {DIALOGUE!r}, and two or more levels of each"
        )
    totals = totals_of(counts)
    scores = metric.value(totals.over_dialogues())
    cells = scores[..., None] + counts.shape[-3] * influence_values(totals, metric)
    found = crossed_components(cells)
    components = {tuple(names[axis] for axis in axes): value for axes, value in found.items()}
    return VarianceParts(dict(zip(names, cells.shape, strict=True)), components)


def crossed_components(cells: FloatArray) -> dict[tuple[int, ...], float]:
    """Returns the variance component of every set of axes of a crossed table with one value per cell.

    Random effects of all orders. E[MS_T] = sum over S containing T of var_S times the cells per level of S, hence
    var_T = sum over S containing T of (-1)^(|S| - |T|) MS_S, over the cells per level of T.
    Source: Cornfield & Tukey 1956; Searle, Casella & McCulloch 1992, section 4.3 (balanced data).
    """
    axes = tuple(range(cells.ndim))
    squares = {chosen: mean_square(cells, chosen) for chosen in _subsets(axes)}
    return {
        chosen: sum((-1) ** (len(more) - len(chosen)) * squares[more] for more in squares if set(more) >= set(chosen))
        / math.prod(cells.shape[axis] for axis in axes if axis not in chosen)
        for chosen in squares
    }


def mean_square(cells: FloatArray, chosen: tuple[int, ...]) -> float:
    """Returns the mean square of the effect of some axes: of their means, less the effects of fewer of them."""
    effect = cells.mean(axis=tuple(axis for axis in range(cells.ndim) if axis not in chosen), keepdims=True)
    for axis in chosen:
        effect = effect - effect.mean(axis=axis, keepdims=True)
    df = math.prod(cells.shape[axis] - 1 for axis in chosen)
    return float((effect**2).sum() * cells.size / effect.size / df)


def _subsets(axes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yields every set of axes but the empty one, in ascending order inside."""
    for size in range(1, len(axes) + 1):
        yield from combinations(axes, size)
