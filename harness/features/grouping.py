"""Batches of items of similar length, in a drawn order. Knows no item, only sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POOL = 8
"""Batches that are sorted by size together."""


def draw_batches(sizes: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Returns the numbers of the items of each batch of an epoch, every item once, drawn from seed and epoch.

    Items of a batch are of similar size: each pool of `POOL` batches is drawn, then sorted, and the batches come in a
    drawn order. On MELD that halves the padding.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(sizes)).tolist()
    pool = POOL * batch_size
    pools = [sorted(order[start : start + pool], key=lambda i: sizes[i]) for start in range(0, len(order), pool)]
    batches = [own[start : start + batch_size] for own in pools for start in range(0, len(own), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
