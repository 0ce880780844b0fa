"""What a build reads of a run: its manifest and its counts. Predictions are tallied at sealing, and never again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.leaderboard.build import build_leaderboard
from harness.leaderboard.spec import BoardSpec
from harness.store import RunStore, predictions, run_store

SPEC = BoardSpec(datasets=("toy",), other_runs=True)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts by name the files of runs that are read."""
    names: Counter[str] = Counter()
    read: Callable[..., bytes] = run_store.read_bounded

    def counting(path: Path, *bounds: int) -> bytes:
        names[path.name] += 1
        return read(path, *bounds)

    monkeypatch.setattr(run_store, "read_bounded", counting)
    return names


def test_a_build_reads_each_run_once_and_tallies_none(
    make_runs: Callable[..., Any], store: RunStore, opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n_systems, name in enumerate(("a", "b", "c"), 1):
        make_runs(name, 0.5)
        opened.clear()
        with monkeypatch.context() as patch:
            patch.delattr(predictions, "tally")
            patch.delattr(predictions, "tally_calibration")
            build_leaderboard("all", SPEC, store)
        assert opened == {"manifest.json": 3 * n_systems, "dialogues.parquet": 3 * n_systems}


def test_a_flipped_bit_in_counts_is_found_at_the_next_build(make_runs: Callable[..., Any], store: RunStore) -> None:
    path = make_runs("a", 0.5)[1] / "dialogues.parquet"
    build_leaderboard("all", SPEC, store)
    content, stat = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(StoreError, match="not the file that was sealed"):
        build_leaderboard("all", SPEC, store)


def test_ids_of_dialogues_are_in_memory_once_for_all_runs(make_runs: Callable[..., Any], store: RunStore) -> None:
    make_runs("a", 0.5)
    first, second, _ = (run.dialogues().confusion.dialogue_ids for run in store.runs())
    assert first == second
    assert all(a is b for a, b in zip(first, second, strict=True))
