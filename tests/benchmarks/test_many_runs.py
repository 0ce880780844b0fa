"""10, 100, 1,000 runs on a split of MELD's shape: seconds to list them, seconds and memory to build their board.

From how these grow follows what a study of 1,000 models on 4 datasets with 5 seeds costs. README.md shows the table
that is printed by

    python -m pytest tests/benchmarks/test_many_runs.py -m bench -n 0 -s
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import cost_of
from many_runs import N_SEEDS, make_dataset, seal_runs, table_of, write_board

from harness.metrics import get_metric
from harness.significance import compare_systems
from harness.store import Layout, RunStore

SYSTEMS = (2, 20, 200)
WIDE, WIDE_SEEDS = 400, 2
"""Systems and seeds of a board whose cost is mostly that of pairs: it tells what a pair costs from what a run costs."""
SPLIT = Path("runs/shape/test/lab")
"""Folder of the systems."""
MODELS, DATASETS = 1000, 4
"""Of the study."""

LIST_BOUND, BOARD_BOUND, STATISTICS_BOUND = 1.0, 15.0, 4.0
"""Processor seconds: to list 1,000 runs and build their board, start included; statistics of 100 systems."""
MEMORY_BOUND = 1000
"""Megabytes, to build a board of 1,000 runs."""


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def statistics_seconds(results: Path, scope: Any, n_systems: int) -> float:
    """Returns the processor seconds of comparing that many systems, their counts read."""
    runs = RunStore(Layout(results)).runs("shape", "test")[: n_systems * N_SEEDS]
    tables = [run.dialogues().confusion.counts for run in runs]
    n_kept = N_SEEDS if scope == "procedure" else 1
    counts = [np.stack(tables[i : i + n_kept]) for i in range(0, len(tables), N_SEEDS)]
    begin = time.process_time()
    compare_systems(counts, get_metric("weighted_f1"), scope=scope, n_resamples=10_000)
    return time.process_time() - begin


def worked_out(costs: Sequence[float]) -> float:
    """Returns what the study costs, one board a dataset, if a cost is that of a start, of runs and of pairs of systems.

    Args:
        costs: of the boards of `SYSTEMS`, then of the wide one.
    """
    shapes = [*((n, N_SEEDS) for n in (SYSTEMS[0], SYSTEMS[-1])), (WIDE, WIDE_SEEDS)]
    known = np.array([[1, n * seeds, n * (n - 1) / 2] for n, seeds in shapes])
    start, run, pair = np.linalg.solve(known, [costs[0], *costs[-2:]])
    print(f"start {start:.3g}, run {run:.3g}, pair {pair:.3g}")
    return float(DATASETS * (start + MODELS * N_SEEDS * run + MODELS * (MODELS - 1) / 2 * pair))


def grows_linearly(costs: Sequence[float], slack: float) -> bool:
    """Returns whether what 1,000 runs cost beyond 10 is at most half more than 100 runs promise, give or take."""
    return (
        costs[2] - costs[0]
        <= 1.5 * (costs[1] - costs[0]) * (SYSTEMS[2] - SYSTEMS[0]) / (SYSTEMS[1] - SYSTEMS[0]) + slack
    )


@pytest.mark.bench
@pytest.mark.timeout(1800)
def test_a_thousand_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Callable[..., None]) -> None:
    folders = [tmp_path / str(n) for n in (*SYSTEMS, WIDE)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # most of the time of sealing
        seal_runs(folders[-1], make_dataset(), WIDE)
    for n, folder in zip(SYSTEMS, folders, strict=False):
        for system in sorted((folders[-1] / SPLIT).iterdir())[:n]:
            shutil.copytree(system, folder / SPLIT / system.name)
        write_board(folder, "shape", "shape")
    write_board(folders[-1], "shape", "shape", n_seeds=WIDE_SEEDS)
    listed = [cost_of("list", "runs", "--results-dir", str(folder)) for folder in folders[:-1]]
    built = [cost_of("leaderboard", "build", "shape", "--results-dir", str(folder), n_rounds=2) for folder in folders]
    stored = [bytes_below(folder / "runs") for folder in folders[:-1]]
    views = [bytes_below(folder / "leaderboards") for folder in folders]
    compared = {scope: round(statistics_seconds(folders[-1], scope, 100), 3) for scope in ("procedure", "checkpoint")}
    n_runs, n_study = [n * N_SEEDS for n in SYSTEMS], MODELS * DATASETS * N_SEEDS
    study = {
        "list_seconds": listed[0].seconds
        + (listed[-1].seconds - listed[0].seconds) / (n_runs[-1] - n_runs[0]) * n_study,
        "build_seconds": worked_out([cost.seconds for cost in built]),
        "build_gb_a_board": worked_out([cost.megabytes for cost in built]) / DATASETS / 1e3,
        "runs_gb": stored[-1] / n_runs[-1] * n_study / 1e9,
        "views_gb": worked_out(views) / 1e9,
    }
    figures = {
        "n_runs": n_runs,
        "list_seconds": [round(cost.seconds, 3) for cost in listed],
        "build_seconds": [round(cost.seconds, 3) for cost in built],
        "build_megabytes": [round(cost.megabytes) for cost in built],
        "runs_megabytes": [round(size / 1e6, 2) for size in stored],
        "views_megabytes": [round(size / 1e6, 2) for size in views],
        "wide": {"systems": WIDE, "seeds": WIDE_SEEDS, "is": "the last of build and views"},
        "statistics_seconds_100_systems": compared,
        "study": {"n_runs": n_study} | {key: float(f"{x:.3g}") for key, x in study.items()},
    }
    keep("many_runs", figures)
    print(f"\n{table_of(figures)}\n{figures['statistics_seconds_100_systems']}, {WIDE} systems: {built[-1]}")
    assert listed[-1].seconds <= LIST_BOUND, listed
    assert built[2].seconds <= BOARD_BOUND, built
    assert built[2].megabytes <= MEMORY_BOUND, built
    assert max(compared.values()) <= STATISTICS_BOUND, compared
    assert grows_linearly([cost.seconds for cost in listed], 0.1), listed
    assert grows_linearly([cost.seconds for cost in built], 0.5), built
