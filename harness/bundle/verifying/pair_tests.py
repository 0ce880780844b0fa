"""The tests that a board can name, drawn again from the seed that it names.

Replicates come in blocks of 256, each from its own generator `SFC64(SeedSequence(seed, spawn_key=(stream, block)))`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .panel import Panel
from .scores import STEP, Array, Sums
from .tails import sign_test

BLOCK = 256
SIGNS, UNITS, SEEDS, SWAPS = 1, 2, 3, 4
"""Numbers of streams."""

ALL_PATTERNS_UP_TO = 16
"""Units up to which every pattern of signs is counted and none is drawn."""

TIE = 1e-6
"""Statistics closer than this are equal."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """p-values of all pairs, float64 (n_pairs,)."""

    p: Array
    step_down: Array | None = None
    """Corrected by step-down max-T, where the test allows it."""
    critical_value: float | None = None
    """What |T| has to reach for that, 1 - alpha quantile of its largest value."""
    n_resamples: int = 0
    """Replicates counted; 0 for a closed form."""
    exact: bool = False
    """Whether these were all there are."""


def t_test(panel: Panel, _n: int, _seed: int, _alpha: float) -> Outcome:
    """Over units, and seeds where the claim is about procedures."""
    return Outcome(np.array([pair.p_value for pair in panel.differences]))


def sign_flip(panel: Panel, n_resamples: int, seed: int, alpha: float) -> Outcome:
    """Flips the sign of what whole units contribute to a difference, studentised."""
    share = panel.sizes / panel.sizes.sum()
    parts = panel.mean_influence + panel.scores[:, None] * share
    v = np.array([parts[a] - parts[b] for a, b in panel.pairs])
    squares = (v**2).sum(axis=1)
    unit = np.where(squares > 1e-20, 1 / np.sqrt(np.maximum(squares, 1e-20)), 0.0)[:, None]
    nulls = [np.abs(v @ signs) * unit for signs in _signs(panel.n_units, n_resamples, seed, SIGNS)]
    observed, n = np.abs(v.sum(axis=1)) * unit[:, 0], panel.n_units
    largest = np.concatenate([null.max(axis=0) for null in nulls])
    t = np.sqrt((n - 1) / n) * largest / np.sqrt(np.maximum(1 - largest**2 / n, 1e-12))
    return _count(observed, nulls, n <= ALL_PATTERNS_UP_TO, float(np.quantile(t, 1 - alpha)))


def bootstrap_t(panel: Panel, n_resamples: int, seed: int, alpha: float) -> Outcome:
    """Draws units with replacement; differences over the replicate's own standard errors, at least a tenth of ours."""
    runs, n = _joined(panel), panel.n_units
    se = np.array([pair.se for pair in panel.differences])
    difference = np.array([pair.value for pair in panel.differences])
    first, second = np.array(panel.pairs).T
    nulls = []
    for weights in _drawn_units(n, n_resamples, seed):
        columns = []
        for weight in weights:
            whole = _weighted(runs, weight[None])
            moved = panel.metric.value(whole.combined(runs, lambda total, part: total + 1j * STEP * part)).imag / STEP
            scores = panel.metric.value(whole)[:, 0]
            spread = (weight * (moved[first] - moved[second]) ** 2).sum(axis=1) * n / (n - 1)
            own = np.maximum(np.sqrt(spread), se / 10)
            away = np.abs(scores[first] - scores[second] - difference)
            columns.append(np.where(se > 0, away / np.where(se > 0, own, 1.0), 0.0))
        nulls.append(np.array(columns).T)
    largest = np.concatenate([null.max(axis=0) for null in nulls])
    observed = np.abs(difference) / np.where(se > 0, se, 1.0)
    return _count(observed, nulls, False, float(np.quantile(largest, 1 - alpha)))


def swap(panel: Panel, n_resamples: int, seed: int, _alpha: float) -> Outcome:
    """Exchanges the answers of two systems in whole units."""
    runs, observed = _joined(panel), np.array([abs(pair.value) for pair in panel.differences])
    nulls = []
    for signs in _signs(panel.n_units, n_resamples, seed, SWAPS):
        kept = (signs > 0).T.astype(float)
        rows = []
        for a, b in panel.pairs:
            own, other = (Sums(runs.right[i], runs.given[i], runs.gold[i]) for i in (a, b))
            rows.append(
                np.abs(panel.metric.value(_mixed(kept, own, other)) - panel.metric.value(_mixed(kept, other, own)))
            )
        nulls.append(np.array(rows))
    return _count(observed, nulls, panel.n_units <= ALL_PATTERNS_UP_TO)


def shifted_bootstrap(panel: Panel, n_resamples: int, seed: int, _alpha: float) -> Outcome:
    """Draws units with replacement; differences minus the observed ones."""
    return _centred(panel, _replicates(panel, n_resamples, seed))


def crossed_bootstrap(panel: Panel, n_resamples: int, seed: int, _alpha: float) -> Outcome:
    """Draws units and, for each system on its own, one seed fewer than it has."""
    by_run = _replicates(panel, n_resamples, seed)
    rows, start = [], 0
    for own in panel.sums:
        n = len(own.right)
        mine, start = by_run[start : start + n], start + n
        key = zlib.crc32(np.ascontiguousarray(own.right).tobytes()) ^ zlib.crc32(own.given.tobytes())
        rows.append(mine[0] if n == 1 else (mine * _drawn_seeds(n, n_resamples, seed, key)).sum(axis=0))
    return _centred(panel, np.array(rows))


def mcnemar(panel: Panel, _n: int, _seed: int, _alpha: float) -> Outcome:
    """Counts units of one utterance that only one of two systems gets right."""
    right = _joined(panel).right.sum(axis=-1)
    return Outcome(
        np.array(
            [sign_test(int((right[a] > right[b]).sum()), int((right[b] > right[a]).sum())) for a, b in panel.pairs]
        )
    )


TESTS: Mapping[str, Callable[[Panel, int, int, float], Outcome]] = {
    "satterthwaite": t_test,
    "t": t_test,
    "sign-flip": sign_flip,
    "bootstrap-t": bootstrap_t,
    "swap": swap,
    "shifted-bootstrap": shifted_bootstrap,
    "crossed-bootstrap": crossed_bootstrap,
    "mcnemar": mcnemar,
}
"""By name on the board: (panel, n_resamples, seed, alpha) -> outcome."""


def _count(observed: Array, nulls: list[Array], exact: bool, critical_value: float | None = None) -> Outcome:
    """Returns p by how often null statistics (n_pairs, n_replicates) reach the observed ones, for each pair alone and
    step-down for all (Westfall & Young 1993); the observed one counts as drawn (Phipson & Smyth 2010)."""
    null, extra = np.concatenate(nulls, axis=1), 0 if exact else 1
    order = np.argsort(observed, kind="stable")
    reached = observed[order][:, None] - TIE
    n, rising = null.shape[1] + extra, null[order]
    p, step_down = np.empty(order.size), np.empty(order.size)
    p[order] = ((rising >= reached).sum(axis=1) + extra) / n
    joint = ((np.maximum.accumulate(rising) >= reached).sum(axis=1) + extra) / n
    step_down[order] = np.maximum.accumulate(joint[::-1])[::-1]
    return Outcome(p, step_down, critical_value, null.shape[1], exact)


def _centred(panel: Panel, replicates: Array) -> Outcome:
    moved = replicates - panel.scores[:, None]
    null = np.array([np.abs(moved[a] - moved[b]) for a, b in panel.pairs])
    return _count(np.array([abs(pair.value) for pair in panel.differences]), [null], False)


def _mixed(kept: Array, own: Sums, other: Sums) -> Sums:
    """Returns the sums of one system over the units it keeps, (n, n_units), and of another over the rest."""
    return own.combined(other, lambda mine, theirs: kept @ mine + (1 - kept) @ theirs)


def _joined(panel: Panel) -> Sums:
    """Returns the sums of all runs in turn, arrays (n_runs, n_units, n_labels)."""
    return Sums(*(np.concatenate([getattr(own, name) for own in panel.sums]) for name in ("right", "given", "gold")))


def _replicates(panel: Panel, n_resamples: int, seed: int) -> Array:
    """Returns scores of all runs on drawn units, float64 (n_runs, n_resamples)."""
    runs = _joined(panel)
    drawn = _drawn_units(panel.n_units, n_resamples, seed)
    scores = [panel.metric.value(_weighted(runs, weights)) for weights in drawn]
    return np.concatenate(scores, axis=1)


def _weighted(runs: Sums, weights: Array) -> Sums:
    """Returns sums over units under each row of weights (n, n_units), arrays (n_runs, n, n_labels)."""
    return runs.map(lambda part: np.einsum("ru,...uk->...rk", weights, part, optimize=True))


def _blocks(seed: int, n_resamples: int, *stream: int) -> Iterator[tuple[np.random.Generator, int]]:
    """Yields each block's generator, and how many of its replicates count."""
    for block, start in enumerate(range(0, n_resamples, BLOCK)):
        child = np.random.SeedSequence(seed, spawn_key=(*stream, block))
        yield np.random.Generator(np.random.SFC64(child)), min(BLOCK, n_resamples - start)


def _signs(n_units: int, n_resamples: int, seed: int, stream: int) -> Iterator[Array]:
    """Yields patterns of signs, float64 (n_units, n): drawn bit by bit, or all but for a common sign."""
    if n_units <= ALL_PATTERNS_UP_TO:
        patterns = np.arange(2 ** (n_units - 1))
        yield np.where((patterns >> np.arange(n_units)[:, None]) & 1, -1.0, 1.0)
        return
    for rng, size in _blocks(seed, n_resamples, stream):
        bits = np.unpackbits(np.frombuffer(rng.bytes(n_units * BLOCK // 8), np.uint8))
        yield np.where(bits.reshape(n_units, BLOCK)[:, :size], -1.0, 1.0)


def _drawn_units(n_units: int, n_resamples: int, seed: int) -> Iterator[Array]:
    """Yields how often each unit is drawn, float64 (n, n_units)."""
    for rng, size in _blocks(seed, n_resamples, UNITS):
        drawn = rng.integers(0, n_units, (BLOCK, n_units), dtype=np.uint32)
        yield np.array([np.bincount(row, minlength=n_units) for row in drawn[:size]], float)


def _drawn_seeds(n_seeds: int, n_resamples: int, seed: int, key: int) -> Array:
    """Returns the weights of a system's seeds, float64 (n_seeds, n_resamples)."""
    rows = []
    for rng, size in _blocks(seed, n_resamples, SEEDS, key):
        drawn = rng.integers(0, n_seeds, (BLOCK, n_seeds - 1))
        rows += [np.bincount(row, minlength=n_seeds) for row in drawn[:size]]
    return np.array(rows).T / (n_seeds - 1)
