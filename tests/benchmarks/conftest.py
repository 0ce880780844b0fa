"""Measures ours against a peer in the same run and keeps one JSON a benchmark under results/benchmarks."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.store import provenance

OUT = Path(__file__).resolve().parents[2] / "results" / "benchmarks"

Measure = Callable[[Callable[[], object]], float]
Record = Callable[..., None]


@pytest.fixture
def alternate() -> Callable[..., dict[str, float]]:
    """Times several things in turn, so that what else the machine does hits all alike; returns medians in seconds."""

    def run(things: Mapping[str, Callable[[], object]], n_rounds: int) -> dict[str, float]:
        for thing in things.values():
            thing()
        times: dict[str, list[float]] = {name: [] for name in things}
        for _ in range(n_rounds):
            for name, thing in things.items():
                begin = time.perf_counter()
                thing()
                times[name].append(time.perf_counter() - begin)
        return {name: statistics.median(values) for name, values in times.items()}

    return run


@pytest.fixture
def record() -> Record:
    """Writes {benchmark, ours_seconds, peer, peer_seconds, ratio, bound, versions, hardware} as JSON."""

    def write(
        name: str, ours: float, bound: float, peer: str | None = None, peer_seconds: float | None = None, **more: Any
    ) -> None:
        document = {
            "benchmark": name,
            "ours_seconds": round(ours, 4),
            "peer": peer,
            "peer_seconds": None if peer_seconds is None else round(peer_seconds, 4),
            "ratio": None if peer_seconds is None else round(ours / peer_seconds, 4),
            "bound": bound,
            **more,
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
        }
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    return write
