"""Batches of items of similar length."""

from __future__ import annotations

import numpy as np

from harness.features.grouping import draw_batches


def test_every_item_is_drawn_once_an_epoch_beside_items_of_its_length() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 25, 500).tolist()
    first, second = draw_batches(sizes, 32, 3, 1), draw_batches(sizes, 32, 3, 2)
    assert sorted(i for batch in first for i in batch) == list(range(500))
    assert first == draw_batches(sizes, 32, 3, 1) != second

    def padding(batches: list[list[int]]) -> int:
        return sum(max(sizes[i] for i in batch) - sizes[i] for batch in batches for i in batch)

    drawn = rng.permutation(500).tolist()
    assert padding(first) < padding([drawn[i : i + 32] for i in range(0, 500, 32)]) / 2
