"""Building a board of 20 systems with 5 seeds on a split of MELD's shape, with 10,000 resamples in checkpoint scope.

The statistics are timed alone, in both scopes; the whole is the command line, from a cold process to printed table.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from many_runs import N_SEEDS, make_dataset, seal_runs, write_board

from harness.metrics import get_metric
from harness.significance import compare_systems
from harness.store import Layout, RunStore

N_SYSTEMS = 20
TOTAL_BOUND, STATISTICS_BOUND = 2.0, 0.3
"""Seconds."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    seal_runs(folder, make_dataset(), N_SYSTEMS)
    for scope in ("procedure", "checkpoint"):
        write_board(folder, scope, "shape", scope)
    return folder


@pytest.mark.bench
@pytest.mark.parametrize("scope", ["procedure", "checkpoint"])
def test_a_board_of_100_runs(
    results: Path, scope: str, alternate: Callable[..., dict[str, float]], record: Callable[..., Any]
) -> None:
    def build() -> None:
        command = [sys.executable, "-m", "harness", "leaderboard", "build", scope, "--results-dir", str(results)]
        subprocess.run(command, check=True, capture_output=True)

    def pandas() -> None:
        subprocess.run([sys.executable, "-c", "import pandas"], check=True, capture_output=True)

    seconds = alternate({"ours": build, "peer": pandas}, n_rounds=5)
    runs = RunStore(Layout(results)).runs("shape", "test")
    tables = [run.dialogues().confusion.counts for run in runs]
    counts = [np.stack(tables[i : i + N_SEEDS]) for i in range(0, len(tables), N_SEEDS)]
    if scope == "checkpoint":
        counts = [system[:1] for system in counts]
    statistics = []
    for _ in range(5):
        begin = time.perf_counter()
        result = compare_systems(counts, get_metric("weighted_f1"), scope=scope, n_resamples=10_000)  # type: ignore[arg-type]
        statistics.append(time.perf_counter() - begin)
    assert len(result.score) == N_SYSTEMS
    record(
        f"board_{scope}", seconds["ours"], TOTAL_BOUND, 'python -c "import pandas"', seconds["peer"],
        n_runs=len(runs), statistics_seconds=round(float(np.median(statistics)), 4), statistics_bound=STATISTICS_BOUND,
    )  # fmt: skip
    assert seconds["ours"] <= TOTAL_BOUND, seconds
    assert np.median(statistics) <= STATISTICS_BOUND, statistics
