"""10, 100, 1,000 runs on a split of MELD's shape: seconds to list them, seconds and memory to build their board.

From how these grow follows what a study of 1,000 models on 4 datasets with 5 seeds costs; the table in README.md is
printed by

    python -m pytest tests/benchmarks/test_many_runs.py -m bench -n 0 -s
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from many_runs import N_SEEDS, make_dataset, seal_runs, write_board

from harness.metrics import get_metric
from harness.significance import compare_systems
from harness.store import Layout, RunStore

SYSTEMS = (2, 20, 200)
SPLIT = Path("runs/shape/test/lab")
"""Folder of the systems."""
MODELS, DATASETS = 1000, 4
"""Of the study."""

LIST_BOUND, BOARD_BOUND, STATISTICS_BOUND = 1.0, 15.0, 4.0
"""Processor seconds: to list 1,000 runs and build their board, start included; statistics of 100 systems."""
MEMORY_BOUND = 1000
"""Megabytes, to build a board of 1,000 runs."""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    """Of the processor, start of the interpreter included."""
    megabytes: float
    """Most that it held at once."""


def cost_of(results: Path, *arguments: str, n_rounds: int = 3) -> Cost:
    """Returns the least of several rounds: what a command takes when nothing else interferes."""
    command = [sys.executable, "-m", "harness", *arguments, "--results-dir", str(results)]
    costs = []
    for _ in range(n_rounds):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        costs.append(Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000))
    return Cost(min(cost.seconds for cost in costs), min(cost.megabytes for cost in costs))


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


def by_runs(costs: list[float]) -> float:
    """Returns what the study costs if a cost grows with runs alone, on the line through the two larger sizes."""
    return _on_line([n * N_SEEDS for n in SYSTEMS], costs, DATASETS * MODELS * N_SEEDS)


def by_pairs(costs: list[float]) -> float:
    """Returns the same if it grows with pairs of systems alone, which is the most that it can come to."""
    return _on_line([n * (n - 1) // 2 for n in SYSTEMS], costs, DATASETS * MODELS * (MODELS - 1) // 2)


def _on_line(sizes: list[int], costs: list[float], size: int) -> float:
    slope = (costs[-1] - costs[-2]) / (sizes[-1] - sizes[-2])
    return costs[-1] + slope * (size - sizes[-1])


@pytest.mark.bench
@pytest.mark.timeout(1800)
def test_a_thousand_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Callable[..., None]) -> None:
    folders = [tmp_path / str(n) for n in SYSTEMS]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # most of the time of sealing
        seal_runs(folders[-1], make_dataset(), SYSTEMS[-1])
    for n, folder in zip(SYSTEMS, folders, strict=True):
        for system in sorted((folders[-1] / SPLIT).iterdir())[: n if folder != folders[-1] else 0]:
            shutil.copytree(system, folder / SPLIT / system.name)
        write_board(folder, "shape", "shape")
    listed = [cost_of(folder, "list", "runs") for folder in folders]
    built = [cost_of(folder, "leaderboard", "build", "shape", n_rounds=2) for folder in folders]
    stored = [float(bytes_below(folder / "runs")) for folder in folders]
    views = [float(bytes_below(folder / "leaderboards")) for folder in folders]
    compared = {scope: round(statistics_seconds(folders[-1], scope, 100), 3) for scope in ("procedure", "checkpoint")}
    n_runs = [n * N_SEEDS for n in SYSTEMS]
    seconds, megabytes = [cost.seconds for cost in built], [cost.megabytes for cost in built]
    study = {
        "runs_gb": by_runs(stored) / 1e9,
        "views_gb": by_pairs(views) / 1e9,
        "list_seconds": by_runs([cost.seconds for cost in listed]),
        "build_seconds_least": by_runs(seconds),
        "build_seconds_most": by_pairs(seconds),
        "build_gb_least": by_runs(megabytes) / 1e3,
        "build_gb_most": by_pairs(megabytes) / 1e3,
    }
    keep(
        "many_runs",
        {
            "n_runs": n_runs,
            "list_seconds": [round(cost.seconds, 3) for cost in listed],
            "build_seconds": [round(cost.seconds, 3) for cost in built],
            "build_megabytes": [round(cost.megabytes) for cost in built],
            "runs_megabytes": [round(size / 1e6, 2) for size in stored],
            "views_megabytes": [round(size / 1e6, 2) for size in views],
            "statistics_seconds_100_systems": compared,
            "study": {"n_runs": MODELS * DATASETS * N_SEEDS} | {key: float(f"{x:.3g}") for key, x in study.items()},
        },
    )
    cells = [
        ["`list runs`", *(f"{cost.seconds:.2f} s" for cost in listed), f"{study['list_seconds']:.0f} s"],
        [
            "`leaderboard build`",
            *(f"{cost.seconds:.2f} s" for cost in built),
            f"{study['build_seconds_least']:.0f} to {study['build_seconds_most']:.0f} s",
        ],
        [
            "memory of that",
            *(f"{cost.megabytes:.0f} MB" for cost in built),
            f"{study['build_gb_least']:.0f} to {study['build_gb_most']:.0f} GB",
        ],
        ["runs on disk", *(f"{size / 1e6:.1f} MB" for size in stored), f"{study['runs_gb']:.1f} GB"],
        ["views on disk", *(f"{size / 1e6:.2f} MB" for size in views), f"{study['views_gb']:.1f} GB"],
    ]
    head = ["runs", *(f"{n:,}" for n in n_runs), f"{MODELS * DATASETS * N_SEEDS:,}, worked out"]
    print("\n" + "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)), compared)
    assert listed[-1].seconds <= LIST_BOUND, listed
    assert built[-1].seconds <= BOARD_BOUND, built
    assert built[-1].megabytes <= MEMORY_BOUND, built
    assert max(compared.values()) <= STATISTICS_BOUND, compared
    per_run = np.diff(seconds) / np.diff(n_runs)
    assert per_run[1] <= 1.5 * per_run[0], built  # a run among 1,000 costs no more than one among 100
