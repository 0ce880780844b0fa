"""Digits: fractions in, percent out, the same everywhere."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from harness.export import numbers


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (0.58123, 2, "58.12"),
        (1.0, 2, "100.00"),
        (0.0, 1, "0.0"),
        (-0.0, 2, "0.00"),
        (-0.00004, 2, "0.00"),
        (-0.012, 1, "-1.2"),
        (math.nan, 2, "–"),
        (math.inf, 1, "–"),
    ],
)
def test_percent(share: float, digits: int, shown: str) -> None:
    assert numbers.percent(share, digits) == shown


def test_scores_that_tie_at_four_decimals_print_alike() -> None:
    """The board calls two scores tied if their fractions round to the same four decimals."""
    for ten_thousandth in range(0, 10_001, 7):
        for shift in (-0.00004999, -0.00002, 0.0, 0.00002, 0.00004999):
            share = max(0.0, ten_thousandth / 10_000 + shift)
            exact = (Decimal(str(round(share, 4))) * 100).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
            assert numbers.percent(share) == str(exact)


def test_noise_of_the_platform_changes_no_digit() -> None:
    noisy = 0.6031 + 0.0204
    assert noisy != 0.6235
    assert numbers.percent(noisy, 1) == numbers.percent(0.6235, 1)
    assert numbers.settle(noisy) == 0.6235


def test_intervals() -> None:
    assert numbers.interval(0.5634, 0.59871) == "[56.3, 59.9]"
    assert numbers.interval(math.nan, 0.5) == ""
    assert numbers.half_width(0.5, 0.48, 0.53) == "3.0"
    assert numbers.half_width(0.5, math.nan, math.nan) == ""


def test_differences_and_p_values() -> None:
    assert [numbers.points(d) for d in (-0.0164, 0.002, 0.0, -0.00001, None)] == [
        "-1.64", "+0.20", "0.00", "0.00", "–",
    ]  # fmt: skip
    assert [numbers.p_value(p) for p in (0.0, 0.00099, 0.001, 0.0496, 0.0996, 0.916, 1.0, None)] == [
        "<0.001", "<0.001", "0.001", "0.050", "0.10", "0.92", "1.00", "–",
    ]  # fmt: skip


def test_coverage_is_complete_only_if_nothing_is_missing() -> None:
    assert numbers.coverage(1.0) == "100.0"
    assert numbers.coverage(2609 / 2610) == "99.9"
    assert numbers.coverage(0.5) == "50.0"
    assert numbers.coverage(math.nan) == "–"


def test_ranks_counts_and_level() -> None:
    assert numbers.rank_set(1, 3) == "1–3"
    assert numbers.rank_set(2, 2) == "2"
    assert numbers.rank_set(None, None) == "–"
    assert numbers.count_range([1], "seed") == "1 seed"
    assert numbers.count_range([5, 5], "seed") == "5 seeds"
    assert numbers.count_range([5, 1], "seed") == "1–5 seeds"
    assert numbers.level(0.05) == "95%"
    assert numbers.level(0.001) == "99.9%"
