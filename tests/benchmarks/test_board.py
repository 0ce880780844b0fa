"""Building a board of 20 systems with 5 seeds on a split of MELD's shape, with 10,000 resamples in checkpoint scope.

The statistics are timed alone, in both scopes; the whole is the command line, from a cold process to printed table.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Split, load_dataset
from harness.metrics import get_metric
from harness.schema import Prediction
from harness.schema.run import RunConfig
from harness.significance import compare_systems
from harness.store import Layout, RunStore
from harness.store.atomic import sha256_of
from harness.store.predictions import encode_dialogues, encode_predictions, tabulate_dialogues
from harness.store.run_store import encode_manifest, read_manifest

N_SYSTEMS, N_SEEDS = 20, 5
TOTAL_BOUND, STATISTICS_BOUND = 2.0, 0.3
"""Seconds."""

LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
PRIOR = np.array([1256, 281, 50, 208, 402, 68, 345]) / 2610
"""Counts of MELD's test split."""


def write_corpus(folder: Path, rng: np.random.Generator) -> None:
    """Writes a corpus with 280 test dialogues and 2,610 utterances: MELD's shape, no text of its."""
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(
        f'name = "shape"\ntitle = "MELD\'s shape"\nlanguage = "en"\nlicense = "CC0-1.0"\nsource = "made up"\n'
        f'labels = {json.dumps(LABELS)}\nneutral = "neutral"\nredistributable = true\n'
    )
    cuts = np.sort(rng.choice(np.arange(1, 2610), 279, replace=False))
    sizes = np.diff([0, *cuts.tolist(), 2610])
    lines = [
        {
            "dialogue_id": f"d{d}",
            "utterances": [{"speaker": "A", "text": "x", "label": str(rng.choice(LABELS, p=PRIOR))} for _ in range(n)],
        }
        for d, n in enumerate(sizes)
    ]
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def seal_runs(results: Path, split: Split, rng: np.random.Generator) -> None:
    """Seals 20 x 5 runs of chosen skill, after the manifest of a real one."""
    gold = split.gold
    (template,) = (path for path in results.rglob("manifest.json"))
    manifest = read_manifest(template)
    for system in range(N_SYSTEMS):
        skill = 0.4 + 0.01 * system
        for seed in range(N_SEEDS):
            right = rng.random(len(gold)) < skill
            guesses = rng.choice(LABELS, len(gold), p=PRIOR)
            said = {
                u: Prediction(u, label if r else str(g))
                for (u, label), r, g in zip(gold.items(), right, guesses, strict=True)
            }
            files = {
                "predictions.parquet": encode_predictions(split, said),
                "dialogues.parquet": encode_dialogues(tabulate_dialogues(split, said)),
            }
            name, params = f"lab/system{system:02}", {"skill": skill}
            data = manifest.data
            config = RunConfig(name, params, data.dataset, data.dataset_fingerprint, data.split, seed)
            card = {**manifest.predictor.card, "deterministic": False}
            made = replace(
                manifest, run_id=config.run_id, seed=seed, files={k: sha256_of(v) for k, v in files.items()},
                predictor=replace(manifest.predictor, name=name, params=params, card=card),
            )  # fmt: skip
            folder = Layout(results).run("shape", "test", name, config.run_id)
            folder.mkdir(parents=True)
            for file, content in files.items():
                (folder / file).write_bytes(content)
            (folder / "manifest.json").write_bytes(encode_manifest(made))
    for path in sorted(template.parent.iterdir()):
        path.unlink()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    rng = np.random.default_rng(0)
    write_corpus(folder / "data" / "shape", rng)
    command = [sys.executable, "-m", "harness", "run", "lab/constant", "--dataset", "shape"]
    plugin = folder / "constant.py"
    plugin.write_text(
        "from harness import *\n"
        "@register_predictor('lab/constant', card=PredictorCard(family='simple'))\n"
        "class Constant(Predictor):\n"
        "    def predict(self, dialogue):\n"
        "        return [Prediction(u.id, 'joy') for u in dialogue.targets]\n"
    )
    options = ["--plugin", str(plugin), "--data-dir", str(folder / "data"), "--results-dir", str(folder / "results")]
    subprocess.run([*command, *options], check=True, capture_output=True)
    seal_runs(folder / "results", load_dataset("shape", folder / "data").split("test"), rng)
    for scope in ("procedure", "checkpoint"):
        board = folder / "results" / "leaderboards" / scope
        board.mkdir(parents=True)
        seeds = "seeds = [0, 1, 2, 3, 4]\nother_runs = true\nn_resamples = 10000\n"
        (board / "board.toml").write_text(f'datasets = ["shape"]\nscope = "{scope}"\n{seeds}')
    return folder / "results"


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
