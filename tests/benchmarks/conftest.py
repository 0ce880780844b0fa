"""Measures ours against a peer in the same run and keeps one JSON a benchmark under results/benchmarks."""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.metrics import tally
from harness.store import provenance

OUT = Path(__file__).resolve().parents[2] / "results" / "benchmarks"

N_LABELS = 7
PRIOR = np.array([1256, 281, 50, 208, 402, 68, 345]) / 2610
"""Counts of MELD's test split."""

DIALOGUE_SHAPE = 2.5
"""Gamma shape at which lengths spread like MELD's: mean 9.3, mean weighted by length about 12.8."""

Keep = Callable[..., None]
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
def best() -> Callable[[Callable[[], object], int], float]:
    """Times one thing, warm; returns the least of n_rounds in seconds, what it takes when nothing else interferes."""

    def run(thing: Callable[[], object], n_rounds: int) -> float:
        thing()
        times = []
        for _ in range(n_rounds):
            begin = time.perf_counter()
            thing()
            times.append(time.perf_counter() - begin)
        return min(times)

    return run


@pytest.fixture
def keep() -> Keep:
    """Writes a benchmark's figures as JSON, with versions, hardware and how busy the machine was."""

    def write(name: str, figures: Mapping[str, Any], packages: Sequence[str] = ()) -> None:
        document = {
            "benchmark": name,
            **figures,
            "versions": {**provenance.versions(), **{name: importlib.metadata.version(name) for name in packages}},
            "hardware": provenance.hardware(),
            "load_average": round(os.getloadavg()[0], 1),
        }
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    return write


@pytest.fixture
def record(keep: Keep) -> Record:
    """Writes {benchmark, ours_seconds, peer, peer_seconds, ratio, bound, versions, hardware} as JSON."""

    def write(
        name: str,
        ours: float,
        bound: float,
        peer: str | None = None,
        peer_seconds: float | None = None,
        packages: Sequence[str] = (),
        **more: Any,
    ) -> None:
        figures = {
            "ours_seconds": round(ours, 4),
            "peer": peer,
            "peer_seconds": None if peer_seconds is None else round(peer_seconds, 4),
            "ratio": None if peer_seconds is None else float(f"{ours / peer_seconds:.4g}"),
            "bound": bound,
            **more,
        }
        keep(name, figures, packages)

    return write


@dataclass(frozen=True, eq=False)
class Corpus:
    """A made-up split and what made-up systems say about it."""

    gold: NDArray[np.int64]
    """int64 (n_utterances,)."""
    dialogue: NDArray[np.int64]
    """int64 (n_utterances,), dialogue of each utterance."""
    predictions: NDArray[np.int64]
    """int64 (n_systems, n_seeds, n_utterances)."""

    def units(self, unit: str) -> NDArray[np.int64]:
        """int64 (n_utterances,): what is resampled together."""
        return self.dialogue if unit == "dialogue" else np.arange(self.gold.size)

    def counts(self, unit: str = "dialogue") -> list[NDArray[np.int64]]:
        """Per system, int64 (n_seeds, n_units, n_labels, n_labels + 1)."""
        index = self.units(unit)
        n_units = int(index[-1]) + 1
        one_run = partial(tally, index, self.gold, n_dialogues=n_units, n_labels=N_LABELS)
        return [np.stack([one_run(predicted=run) for run in runs]) for runs in self.predictions]


def make_corpus(n_systems: int = 20, n_seeds: int = 1, n_dialogues: int = 280, n_utterances: int = 2610) -> Corpus:
    """Makes up labels with MELD's frequencies and systems with accuracies from 0.53 to 0.70."""
    rng = np.random.default_rng(0)
    lengths = rng.gamma(DIALOGUE_SHAPE, size=n_dialogues)
    sizes = 1 + rng.multinomial(n_utterances - n_dialogues, lengths / lengths.sum())
    gold = rng.choice(N_LABELS, n_utterances, p=PRIOR)
    shape = (n_systems, n_seeds, n_utterances)
    skill = np.linspace(0.35, 0.58, n_systems)[:, None, None]
    predictions = np.where(rng.random(shape) < skill, gold, rng.choice(N_LABELS, shape, p=PRIOR))
    return Corpus(gold, np.repeat(np.arange(n_dialogues), sizes), predictions)


@pytest.fixture(scope="session")
def corpus() -> Callable[..., Corpus]:
    """Returns `make_corpus`: MELD's shape unless told otherwise."""
    return make_corpus
