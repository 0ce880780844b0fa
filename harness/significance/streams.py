"""Keyed random streams: the one place where significance draws get their seeds.

Replicates come in fixed blocks of 256. Each block has its own child of the seed sequence, found by the stream's number
and the block's, so a replicate does not depend on how many others are drawn, on memory or on threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 256

SIGNS = 1
DIALOGUES = 2
SEEDS = 3
SWAPS = 4
WEIGHTS = 5


def blocks(seed: int, n_replicates: int, *stream: int) -> Iterator[tuple[np.random.Generator, int]]:
    """Yields, per block, its generator and how many of its 256 replicates are wanted.

    A caller draws all 256 and keeps the first ones, so that fewer replicates are a prefix of more.

    Args:
        seed: what the user chose.
        n_replicates: replicates wanted in all.
        *stream: number of the stream and, where it has parts, of the part.
    """
    for block, start in enumerate(range(0, n_replicates, BLOCK)):
        child = np.random.SeedSequence(seed, spawn_key=(*stream, block))
        yield np.random.Generator(np.random.SFC64(child)), min(BLOCK, n_replicates - start)
