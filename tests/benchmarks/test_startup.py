"""Starting the command line, against importing pandas in the same run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

BOUND = 1.2
"""Largest allowed ratio of ours to `python -c "import pandas"`."""


@pytest.mark.bench
@pytest.mark.parametrize(
    ("name", "arguments"), [("startup_help", ["--help"]), ("startup_list_predictors", ["list", "predictors"])]
)
def test_starting_is_as_quick_as_importing_pandas(
    alternate: Callable[..., dict[str, float]], record: Callable[..., Any], name: str, arguments: list[str]
) -> None:
    def ours() -> None:
        subprocess.run([sys.executable, "-m", "harness", *arguments], check=True, capture_output=True)

    def peer() -> None:
        subprocess.run([sys.executable, "-c", "import pandas"], check=True, capture_output=True)

    seconds = alternate({"ours": ours, "peer": peer}, n_rounds=15)
    record(name, seconds["ours"], BOUND, 'python -c "import pandas"', seconds["peer"])
    assert seconds["ours"] <= BOUND * seconds["peer"], seconds
