"""A results folder of many runs, made up: MELD's shape, no text of its, sealed by the code that seals real runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import Dataset, Split
from harness.data.dataset import DatasetCard
from harness.schema import Dialogue, LabelSet, Prediction, Utterance
from harness.schema.run import Manifest, RunConfig
from harness.store import Layout, RunStore
from harness.store.layout import DIALOGUES, MANIFEST, PREDICTIONS
from harness.store.run_store import encode_manifest, read_manifest
from harness.store.sealing import describe_data, seal_run

COMMITTED = Path(__file__).resolve().parents[2] / "results"

LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
PRIOR = np.array([1256, 281, 50, 208, 402, 68, 345]) / 2610
"""Counts of MELD's test split."""

N_SEEDS = 5
N_SCORED = 20
"""Systems whose runs are scored one by one."""


def make_dataset(name: str = "shape", n_dialogues: int = 280, n_utterances: int = 2610) -> Dataset:
    """Returns a corpus with a test split of MELD's shape, labels by its frequencies."""
    rng = np.random.default_rng(0)
    cuts = np.sort(rng.choice(np.arange(1, n_utterances), n_dialogues - 1, replace=False))
    sizes = np.diff([0, *cuts.tolist(), n_utterances])
    dialogues = tuple(
        Dialogue(
            f"dia{d}",
            tuple(
                Utterance(f"dia{d}_utt{u}", ("AB"[u % 2],), "x", LABELS[k])
                for u, k in enumerate(rng.choice(len(LABELS), size, p=PRIOR))
            ),
        )
        for d, size in enumerate(sizes)
    )
    label_set = LabelSet(LABELS, "neutral")
    card = DatasetCard("MELD's shape", label_set, "en", "CC0-1.0", "made up", name, (), True, "make it")
    return Dataset(name, card, {"test": Split(name, "test", dialogues, label_set)})


def seal_runs(results: Path, dataset: Dataset, n_systems: int) -> None:
    """Seals 5 runs of each of the systems `lab/system000`, 001, ..., with probabilities.

    The first 20 systems are scored one by one. Further ones take tables of theirs in other company, so that no two
    systems share theirs, and get a manifest each. What manifests say of predictors is what those of real runs say.
    """
    split, layout, templates = dataset.split("test"), Layout(results), committed_manifests()
    gold = np.array([LABELS.index(label) for label in split.gold.values()])
    pool: list[Path] = []
    for system, seed in product(range(n_systems), range(N_SEEDS)):
        template = templates[system % len(templates)]
        made = replace(template.predictor, name=f"lab/system{system:03}")
        config = RunConfig(made.name, made.params, dataset.name, dataset.fingerprint, "test", seed)
        folder = layout.run(dataset.name, "test", made.name, config.run_id)
        if system < N_SCORED:
            seal_run(
                folder, split, _guesses(split, gold, 0.35 + 0.01 * system, [system, seed]),
                config=config, predictor=made, data=describe_data(dataset, split),
                times=template.times, versions=template.versions, hardware=template.hardware,
            )  # fmt: skip
            pool.append(folder)
            continue
        source = pool[(system * N_SEEDS + seed * (1 + system // N_SCORED)) % len(pool)]
        folder.mkdir(parents=True)
        for name in (PREDICTIONS, DIALOGUES):
            shutil.copyfile(source / name, folder / name)
        manifest = replace(read_manifest(source / MANIFEST), run_id=config.run_id, seed=seed, predictor=made)
        (folder / MANIFEST).write_bytes(encode_manifest(manifest))


def committed_manifests() -> list[Manifest]:
    """Returns a manifest of every system that has several seeds on MELD among the committed runs."""
    runs = RunStore(Layout(COMMITTED)).runs("meld", "test")
    manifests = [run.manifest for run in runs]
    kept = {m.predictor.label: m for m in manifests if not m.predictor.card["deterministic"]}
    return list(kept.values())


def write_board(results: Path, board: str, dataset: str, scope: str = "procedure", n_seeds: int = N_SEEDS) -> None:
    """Writes the specification of a board that shows every run of some seeds on a dataset."""
    folder = Layout(results).board(board)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "board.toml").write_text(
        f'datasets = ["{dataset}"]\nscope = "{scope}"\nseeds = {list(range(n_seeds))}\n'
        "other_runs = true\nn_resamples = 10000\n"
    )


def table_of(figures: Mapping[str, Any]) -> str:
    """Returns the table of README.md, from what the benchmark has kept."""
    study = figures["study"]
    head = ["runs", *(f"{n:,}" for n in figures["n_runs"]), f"{study['n_runs']:,}, worked out"]
    rows = [
        ("`list runs`", "list_seconds", "{:.2f} s", f"{study['list_seconds']:.0f} s"),
        ("`leaderboard build`", "build_seconds", "{:.2f} s", f"{study['build_seconds']:.0f} s"),
        ("memory of that", "build_megabytes", "{:.0f} MB", f"{study['build_gb_a_board']:.1f} GB a board"),
        ("runs on disk", "runs_megabytes", "{:.1f} MB", f"{study['runs_gb']:.1f} GB"),
        ("views on disk", "views_megabytes", "{:.2f} MB", f"{study['views_gb']:.1f} GB"),
    ]
    cells = [[name, *map(form.format, figures[key][: len(head) - 2]), last] for name, key, form, last in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells))


def _guesses(split: Split, gold: np.ndarray, skill: float, seed: Sequence[int]) -> dict[str, Prediction]:
    """Returns predictions that are right with a given probability, and by chance."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(gold.size) < skill, gold, rng.choice(len(LABELS), gold.size, p=PRIOR))
    scores = rng.dirichlet(np.ones(len(LABELS)), gold.size)
    scores[np.arange(gold.size), said] += 1
    rows = zip(split.gold, said.tolist(), (scores / 2).tolist(), strict=True)
    return {u: Prediction(u, LABELS[k], dict(zip(LABELS, row, strict=True))) for u, k, row in rows}
