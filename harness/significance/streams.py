"""Keyed random streams: the one place where significance draws get their seeds, and the check of such numbers.

Replicates come in fixed blocks of 256. Each block has its own child of the seed sequence, found by the stream's number
and the block's, so a replicate does not depend on how many others are drawn, on memory or on threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.errors import ConfigError

BLOCK = 256

SIGNS = 1
DIALOGUES = 2
SEEDS = 3
SWAPS = 4
WEIGHTS = 5


def check_numbers(alpha: float, n_resamples: int, seed: int) -> None:
    """Refuses numbers that no procedure can use.

    Raises:
        ConfigError: alpha is not between 0 and 1, n_resamples is below 1, or seed is negative.
    """
    if not 0 < alpha < 1 or n_resamples < 1 or seed < 0:
        raise ConfigError(
            f"alpha={alpha!r}, n_resamples={n_resamples!r}, seed={seed!r}; give alpha between 0 and 1, n_resamples of "
            "1 or more, seed of 0 or more"
        )


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
