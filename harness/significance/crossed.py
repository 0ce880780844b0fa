"""The crossed bootstrap over dialogues and training seeds (procedure scope)."""

from __future__ import annotations

import zlib

import numpy as np

from harness.metrics.confusion import FloatArray
from harness.significance.bootstrap import bootstrap_scores
from harness.significance.panel import Panel
from harness.significance.streams import BLOCK, SEEDS, blocks


def crossed_scores(panel: Panel, *, n_resamples: int, seed: int) -> FloatArray:
    """Returns replicates of every system's mean score, float64 (n_systems, n_resamples).

    Dialogues are drawn once for all systems; seeds independently for each system, n_seeds - 1 of them with
    replacement, which removes the bias (n_seeds - 1)/n_seeds of drawing as many as there are. Somewhat conservative,
    since seed-by-dialogue noise is resampled twice. A system with one run keeps it.
    Source: Owen 2007 and Owen & Eckles 2012 (pigeonhole bootstrap); Rao & Wu 1988.
    """
    # A system's stream is found by its counts, so its seeds are drawn alike in any company and in any order.
    keys = [zlib.crc32(own.tp.tobytes()) ^ zlib.crc32(own.pred.tobytes()) for own in panel.totals]
    scores = bootstrap_scores(panel.all_runs, panel.metric, n_resamples=n_resamples, seed=seed)
    means = np.empty((panel.n_systems, n_resamples))
    start = 0
    for system, n_seeds in enumerate(panel.n_seeds.tolist()):
        own = scores[start : start + n_seeds]
        start += n_seeds
        means[system] = (
            own[0] if n_seeds == 1 else (own * seed_weights(n_seeds, n_resamples, seed, keys[system])).sum(axis=0)
        )
    return means


def seed_weights(n_seeds: int, n_resamples: int, seed: int, key: int) -> FloatArray:
    """Returns weights that sum to 1 over seeds, float64 (n_seeds, n_resamples)."""
    parts = []
    row = np.arange(BLOCK)[:, None] * n_seeds
    for rng, size in blocks(seed, n_resamples, SEEDS, key):
        drawn = rng.integers(0, n_seeds, (BLOCK, n_seeds - 1)) + row
        parts.append(np.bincount(drawn.ravel(), minlength=BLOCK * n_seeds).reshape(BLOCK, n_seeds)[:size].T)
    return np.concatenate(parts, axis=1) / (n_seeds - 1)
