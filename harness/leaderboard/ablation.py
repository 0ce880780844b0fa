"""An ablation: every row of a board against the full system, which somebody names before seeing the scores.

Each dataset, and the average over all, is one family of as many tests as there are variants; it is smaller than that of
all pairs. Raw p-values and intervals are those of the board, whose pairs they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from harness.errors import ConfigError, UnknownNameError
from harness.leaderboard.leaderboard import Average, Entry, Leaderboard, PairComparison
from harness.significance.choices import CORRECTIONS


@dataclass(frozen=True, slots=True)
class Variant:
    """One row on one dataset, or on average, beside the full system. Scores are fractions."""

    dataset: str
    """"" of the average over datasets."""
    predictor: str
    """What tables call the row."""
    score: float
    difference: float | None
    """Score minus that of the full system; None where that one is missing, and of itself."""
    se: float | None
    """Standard error of the difference; None, as all that follows, of the full system and of what is untested."""
    low: float | None
    """Lower end of its (1 - alpha) interval, of this one difference."""
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    """Corrected over the variants of this dataset."""
    different: bool


@dataclass(frozen=True, slots=True)
class Ablation:
    """Rows by dataset in the order of the board, the average last; the full system first, then by falling score."""

    full: str
    correction: str
    """That of the board; Holm's instead of max-T, which needs every resample."""
    variants: tuple[Variant, ...]


def make_ablation(board: Leaderboard, full: str | None) -> Ablation:
    """Returns every row of a board against one of them.

    Args:
        board: what is ablated.
        full: what tables call the full system.

    Raises:
        ConfigError: no row is named.
        UnknownNameError: no row is called so.
    """
    names = dict.fromkeys(entry.name for entry in board.entries)
    if full is None:
        raise ConfigError(f"an ablation needs the row of the full system; add --full ROW (rows: {', '.join(names)})")
    if full not in names:
        raise UnknownNameError.of("row", full, names, "give what the tables call the full system")
    correction = "holm" if board.correction == "max-t" else board.correction
    variants: list[Variant] = []
    for header in board.datasets:
        entries = {entry.predictor: entry for entry in board.of_dataset(header.dataset)}
        reference = next((label for label, entry in entries.items() if entry.name == full), None)
        pairs = [pair for pair in board.comparisons if pair.dataset == header.dataset]
        variants += _variants(header.dataset, entries, reference, pairs, correction, board.alpha)
    if board.averages is not None:
        rows = {row.predictor: row for row in board.averages.rows}
        reference = full if full in rows else None
        variants += _variants("", rows, reference, board.averages.comparisons, correction, board.alpha)
    return Ablation(full, correction, tuple(variants))


def _variants(
    dataset: str,
    rows: Mapping[str, Entry] | Mapping[str, Average],
    full: str | None,
    pairs: Sequence[PairComparison],
    correction: str,
    alpha: float,
) -> list[Variant]:
    """Returns the rows of one dataset, by the names that its pairs use."""
    tested = {pair.a: pair for pair in map(partial(_against, full), pairs) if pair.b == full}
    p_adjusted = CORRECTIONS[correction](np.array([pair.p_value for pair in tested.values()]))
    adjusted = dict(zip(tested, p_adjusted.tolist(), strict=True))
    variants = []
    for key in sorted(rows, key=lambda key: key != full):  # stable: the others keep their order
        row, pair = rows[key], tested.get(key)
        difference = None if full in (None, key) else row.score - rows[full].score
        if pair is None:
            variants.append(Variant(dataset, row.name, row.score, difference, None, None, None, None, None, False))
        else:
            tests = (pair.se, pair.low, pair.high, pair.p_value, adjusted[key], adjusted[key] <= alpha)
            variants.append(Variant(dataset, row.name, row.score, difference, *tests))
    return variants


def _against(full: str | None, pair: PairComparison) -> PairComparison:
    """Returns a pair the other way round if the full system is its first."""
    if pair.a != full:
        return pair
    return replace(pair, a=pair.b, b=pair.a, difference=-pair.difference, low=-pair.high, high=-pair.low)
