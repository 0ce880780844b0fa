"""Resampling 20 systems on a split of MELD's shape: seconds, megabytes, growth, and how far from the arithmetic floor.

Bounds are check 23 of the acceptance checks. Times are in process and warm, the least of several rounds.
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

from harness.metrics import get_metric
from harness.significance import compare_systems
from harness.significance.bootstrap import bootstrap_scores, count_matrix
from harness.significance.crossed import crossed_scores
from harness.significance.pair_tests import sign_flip
from harness.significance.panel import Panel, build_panel

pytestmark = pytest.mark.bench

WEIGHTED_F1 = get_metric("weighted_f1")
BEST_OF = 15

BOOTSTRAP_BOUND, TESTS_BOUND, WHOLE_BOUND, SEEDS_BOUND, MANY_RESAMPLES_BOUND = 0.06, 0.08, 0.5, 0.4, 0.5
"""Seconds."""
MEMORY_BOUND = 200
"""Megabytes."""
STEEPEST, FLATTEST = 1.2, 0.6
"""Bounds of d log(time) / d log(size): 1 is linear, 2 quadratic; below the lower one a fixed cost hides the growth."""

Best = Callable[[Callable[[], object], int], float]
MakeCorpus = Callable[..., Any]
Keep = Callable[..., None]
Record = Callable[..., None]


@pytest.fixture(scope="module")
def panel(corpus: MakeCorpus) -> Panel:
    return build_panel(corpus().counts(), WEIGHTED_F1)


@pytest.fixture(scope="module")
def flops_per_second() -> float:
    """The machine's rate of float32 matrix products, best of 20 products of 1024 x 1024 matrices."""
    left = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        left @ left
        times.append(time.perf_counter() - begin)
    return float(2 * 1024**3 / min(times))


def bootstrap(panel: Panel, n_resamples: int = 10_000) -> Callable[[], object]:
    return lambda: bootstrap_scores(panel.all_runs, WEIGHTED_F1, n_resamples=n_resamples, seed=0)


def all_pair_tests(panel: Panel, n_resamples: int = 10_000) -> Callable[[], object]:
    first, second = np.triu_indices(panel.n_systems, 1)
    rows = panel.contributions
    return lambda: sign_flip(rows, first, second, n_resamples=n_resamples, seed=0, step_down=True)


def floor_seconds(panel: Panel, flops_per_second: float, n_resamples: int = 10_000) -> float:
    """Seconds that the product of counts and weights takes at the machine's rate: 2 x replicates x units x columns."""
    n_columns, n_units = count_matrix(panel.all_runs).matrix.shape
    return 2 * n_resamples * n_units * n_columns / flops_per_second


def test_the_joint_bootstrap(panel: Panel, flops_per_second: float, best: Best, record: Record) -> None:
    seconds = best(bootstrap(panel), BEST_OF)
    floor = floor_seconds(panel, flops_per_second)
    print(f"\n10,000 joint bootstraps: {seconds * 1e3:.1f} ms, {seconds / floor:.1f} times the arithmetic floor")
    record(
        "statistics_bootstrap", seconds, BOOTSTRAP_BOUND, unit="dialogue", n_systems=20, n_resamples=10_000,
        sgemm_gflops_per_second=round(flops_per_second / 1e9, 1), floor_seconds=round(floor, 5),
        times_the_floor=round(seconds / floor, 2),
    )  # fmt: skip
    assert seconds <= BOOTSTRAP_BOUND


def test_all_pair_tests(panel: Panel, best: Best, record: Record) -> None:
    seconds = best(all_pair_tests(panel), BEST_OF)
    record("statistics_sign_flip", seconds, TESTS_BOUND, unit="dialogue", n_pairs=190, n_resamples=10_000)
    assert seconds <= TESTS_BOUND


def test_the_whole_comparison(corpus: MakeCorpus, best: Best, record: Record) -> None:
    split = corpus()
    seconds = best(lambda: compare_systems(split.counts(), WEIGHTED_F1, interval="percentile"), BEST_OF)
    record(
        "statistics_whole", seconds, WHOLE_BOUND, unit="dialogue", n_systems=20, n_resamples=10_000,
        holds="counting, scores, bootstrap, intervals of scores and differences, 190 tests, max-T, rank sets, letters",
    )  # fmt: skip
    assert seconds <= WHOLE_BOUND


PEAK_MEMORY = """
import sys
from pathlib import Path
import numpy as np
from harness.metrics import get_metric, tally
from harness.significance import compare_systems

split = np.load(sys.argv[1])
gold, dialogue = split["gold"], split["dialogue"]
counts = [tally(dialogue, gold, run, dialogue[-1] + 1, 7)[None] for run in split["predictions"][:, 0]]
compare_systems(counts, get_metric("weighted_f1"), interval="percentile")
status = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""
"""Does the whole comparison and prints the most memory the process ever held, in KiB."""


def test_peak_memory_of_a_fresh_process(corpus: MakeCorpus, keep: Keep, tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc/self/status, which this system lacks")
    split = corpus()
    np.savez(tmp_path / "split.npz", gold=split.gold, dialogue=split.dialogue, predictions=split.predictions)
    command = [sys.executable, "-c", PEAK_MEMORY, str(tmp_path / "split.npz")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    megabytes = int(done.stdout) * 1024 / 1e6
    figures = {"ours_megabytes": round(megabytes, 1), "bound": MEMORY_BOUND, "holds": "imports, data, whole comparison"}
    keep("statistics_memory", figures)
    assert megabytes <= MEMORY_BOUND


def test_200_prediction_sets(corpus: MakeCorpus, flops_per_second: float, best: Best, record: Record) -> None:
    panel = build_panel(corpus(n_systems=40, n_seeds=5).counts(), WEIGHTED_F1)
    crossed = best(lambda: crossed_scores(panel, n_resamples=10_000, seed=0), 7)
    joint = best(bootstrap(panel), 7)
    record(
        "statistics_seeds", crossed, SEEDS_BOUND, unit="dialogue and seed", n_systems=40, n_seeds=5,
        n_resamples=10_000, dialogues_only_seconds=round(joint, 4),
        times_the_floor=round(crossed / floor_seconds(panel, flops_per_second), 2),
    )  # fmt: skip
    assert crossed <= SEEDS_BOUND


@pytest.mark.parametrize(("name", "procedure"), [("bootstrap", bootstrap), ("sign_flip", all_pair_tests)])
def test_100_000_resamples(
    panel: Panel, best: Best, record: Record, name: str, procedure: Callable[..., Callable[[], object]]
) -> None:
    seconds = best(procedure(panel, 100_000), 5)
    record(f"statistics_100000_{name}", seconds, MANY_RESAMPLES_BOUND, unit="dialogue", n_systems=20)
    assert seconds <= MANY_RESAMPLES_BOUND


GROWTH: dict[str, Callable[[MakeCorpus, int], Callable[[], object]]] = {
    "bootstrap_resamples": lambda corpus, by: bootstrap(build_panel(corpus().counts(), WEIGHTED_F1), 5_000 * by),
    "bootstrap_systems": lambda corpus, by: bootstrap(build_panel(corpus(20 * by).counts(), WEIGHTED_F1), 5_000),
    "bootstrap_dialogues": lambda corpus, by: bootstrap(
        build_panel(corpus(20, 1, 280 * by, 2610 * by).counts(), WEIGHTED_F1), 5_000
    ),
    "sign_flip_resamples": lambda corpus, by: all_pair_tests(build_panel(corpus().counts(), WEIGHTED_F1), 5_000 * by),
}
"""What grows -> the procedure at `by` times its smallest size."""


@pytest.mark.parametrize("name", GROWTH)
def test_growth_is_linear(corpus: MakeCorpus, best: Best, keep: Keep, name: str) -> None:
    factors = [1, 2, 4, 8]
    seconds = [best(GROWTH[name](corpus, by), 7) for by in factors]
    slope = float(np.polyfit(np.log(factors), np.log(seconds), 1)[0])
    figures = {
        "ours_seconds": dict(zip(map(str, factors), (round(x, 4) for x in seconds), strict=True)),
        "slope": round(slope, 3), "bound": [FLATTEST, STEEPEST], "unit": "dialogue",
    }  # fmt: skip
    keep(f"statistics_growth_{name}", figures)
    assert FLATTEST <= slope <= STEEPEST, seconds
