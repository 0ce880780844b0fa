"""Options with several values are spelt out for `run`, `tune`, `compare`, `slices` and `data instructions`."""

from __future__ import annotations

import pytest

from harness.cli.argv import expand_repeated


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        (
            "run a b --dataset x y --seed 0 1 2 -P k=v",
            "run a b --dataset x --dataset y --seed 0 --seed 1 --seed 2 -P k=v",
        ),
        ("run --seed 0 1 a --dataset x", "run --seed 0 --seed 1 a --dataset x"),
        ("run a --dataset x --jobs 2", "run a --dataset x --jobs 2"),
        ("run a --dataset x --seed -1", "run a --dataset x --seed -1"),
        ("run a --seed", "run a --seed"),
        ("tune a --dataset x --seed 0 1", "tune a --dataset x --seed 0 --seed 1"),
        ("compare a b --dataset x", "compare a b --dataset x"),
        ("compare a b --dataset x y --seed 0 1", "compare a b --dataset x --dataset y --seed 0 1"),
        ("compare --dataset x a b", "compare --dataset x a b"),
        ("slices a --slice x y --other z", "slices a --slice x --slice y --other z"),
        ("slices --slice x a", "slices --slice x a"),
        ("slices", "slices"),
        (
            "data instructions a b --split train dev --test x y -o f",
            "data instructions a b --split train --split dev --test x --test y -o f",
        ),
        ("data instructions --split train a -o f", "data instructions --split train a -o f"),
        ("show a --dataset x y", "show a --dataset x y"),
        ("", ""),
    ],
)
def test_repeated_options_are_spelt_out(typed: str, parsed: str) -> None:
    assert expand_repeated(typed.split()) == parsed.split()
