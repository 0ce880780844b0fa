"""What the runs behind an entry tell beyond the board: seeds, labels, confusions, size and cost. Never a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.evaluation.scoring import resolve_metric
from harness.evaluation.usage import sum_usage
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard
from harness.llm.tables.models import find_model
from harness.metrics import per_label_f1, totals_of
from harness.store import RunStore, StoredRun

PER_CALLS = 1000
"""Utterances that a price is given for."""


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """One entry of a board as its runs show it. Scores are fractions."""

    family: str
    seeds: tuple[int, ...]
    """In rising order, one a run."""
    seed_scores: tuple[float, ...]
    """Primary metric of each run."""
    label_f1: tuple[float, ...]
    """F1 of each label, mean over runs."""
    confusion: tuple[tuple[int, ...], ...]
    """Gold by predicted, summed over runs; last column = no usable label."""
    n_parameters: int | None
    """Of the trained network or the language model; frozen encoders of features are not counted. None: not told."""
    seconds: float | None
    """To predict an utterance, mean over runs: median latency of a call where a language model was asked."""
    usd: float | None
    """US dollars for `PER_CALLS` utterances, mean over runs; None: no price, or some price unknown."""
    about: tuple[tuple[str, str], ...]
    """Further facts for people: name and value."""


SystemKey = tuple[str, str]
"""Dataset and predictor of an entry."""


def read_systems(board: Leaderboard, store: RunStore) -> dict[SystemKey, SystemFacts]:
    """Returns the facts of every entry.

    Raises:
        UnknownNameError: a run of the board is not in the store.
        StoreError: a stored file is missing or corrupt.
    """
    headers = {header.dataset: header for header in board.datasets}
    return {
        (entry.dataset, entry.predictor): read_system(entry, headers[entry.dataset], store) for entry in board.entries
    }


def read_system(entry: Entry, header: DatasetHeader, store: RunStore) -> SystemFacts:
    """Returns the facts of one entry; raises as `read_systems`."""
    runs = read_runs(entry, store)
    counts = np.stack([run.dialogues().confusion.counts.sum(axis=0) for run in runs])
    totals = totals_of(counts)
    seconds, prices = zip(*(_take(run) for run in runs), strict=True)
    return SystemFacts(
        family=str(runs[0].manifest.predictor.card["family"]),
        seeds=tuple(run.manifest.seed for run in runs),
        seed_scores=tuple(resolve_metric(header.metric, runs[0]).value(totals).tolist()),
        label_f1=tuple(per_label_f1(totals).mean(axis=0).tolist()),
        confusion=tuple(map(tuple, counts.sum(axis=0).tolist())),
        n_parameters=_n_parameters(runs[0]),
        seconds=_mean(seconds),
        usd=_mean(prices),
        about=_about(runs),
    )


def read_runs(entry: Entry, store: RunStore) -> list[StoredRun]:
    """Returns the runs behind an entry in the order of their seeds; raises as `read_systems`."""
    found = (store.find(str(store.layout.root / path)) for path in entry.runs)
    return sorted(found, key=lambda run: run.manifest.seed)


def _take(run: StoredRun) -> tuple[float | None, float | None]:
    """Returns seconds to predict an utterance and dollars for `PER_CALLS`; None where not told."""
    n = run.manifest.data.n_utterances
    generations = run.generations()
    if not generations:
        seconds = run.manifest.times["predict_seconds"]
        return None if seconds is None else seconds / n, None
    usage = sum_usage(generations.values())
    return usage.median_seconds, None if usage.n_usd_unknown else PER_CALLS * usage.usd / n


def _n_parameters(run: StoredRun) -> int | None:
    """Returns what the training says, else what the table of models says of the model or base that is named."""
    made = run.manifest.predictor
    training: Mapping[str, Any] = made.facts.get("training", {})
    told = training.get("n_parameters") or training.get("tuning", {}).get("n_parameters")
    if told is not None:
        return int(told)
    named = made.params.get("base") or made.params.get("model")
    model = find_model(named.partition("@")[0]) if isinstance(named, str) else None
    return None if model is None else model.n_params


def _about(runs: Sequence[StoredRun]) -> tuple[tuple[str, str], ...]:
    manifest = runs[0].manifest
    made, machine = manifest.predictor, manifest.hardware
    fit = [run.manifest.times["fit_seconds"] for run in runs]
    lost = {
        status: sum(run.manifest.statuses.get(status, 0) for run in runs)
        for status in manifest.statuses
        if status != "ok"
    }
    lines: list[tuple[str, str]] = [
        ("Summary", str(made.card.get("summary", ""))),
        ("Source", str(made.card.get("source", ""))),
        ("Learns from", ", ".join(made.card.get("trained_on", ())) or "nothing"),
        ("Features", "; ".join(made.card.get("features", ()))),
        ("Parameters set", ", ".join(f"{name}={value}" for name, value in made.params.items())),
        ("Answers lost", ", ".join(f"{count} {status}" for status, count in lost.items() if count)),
        ("Learning", "" if None in fit else f"{np.mean(fit):.3g} s a run"),
        ("Machine", ", ".join(str(machine[k]) for k in ("processor", "accelerator") if machine.get(k))),
        ("Runs", ", ".join(run.manifest.run_id for run in runs)),
    ]
    return tuple((name, value) for name, value in lines if value)


def _mean(values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return float(np.mean(told)) if len(told) == len(values) else None
