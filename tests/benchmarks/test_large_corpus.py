"""A corpus of a million utterances: seconds and memory to read it, and to run a predictor over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import cost_of

N_DIALOGUES, N_EACH = 100_000, 10
WORDS = ["so", "we", "could", "have", "told", "them", "that", "nobody", "ever", "comes", "back", "here"]
CARD = """
name = "large"
title = "A million utterances"
language = "en"
license = "CC0-1.0"
source = "made up"
labels = ["joy", "anger", "neutral"]
redistributable = true
"""

READ_BOUND, RUN_BOUND = 500, 2000
"""Megabytes."""


def write_corpus(folder: Path) -> Path:
    """Writes dialogues of ten utterances of nine words, and a few to train on; returns the large file."""
    folder.mkdir()
    (folder / "card.toml").write_text(CARD)
    rng = np.random.default_rng(0)
    for split, n in (("train", 10), ("dev", 10), ("test", N_DIALOGUES)):
        with (folder / f"{split}.jsonl").open("w") as file:
            for d in range(n):
                words = rng.choice(WORDS, (N_EACH, 9)).tolist()
                labels = rng.choice(["joy", "anger", "neutral"], N_EACH).tolist()
                utterances = [
                    {"speaker": "AB"[i % 2], "text": " ".join(own), "label": label}
                    for i, (own, label) in enumerate(zip(words, labels, strict=True))
                ]
                file.write(json.dumps({"dialogue_id": f"{split}{d}", "utterances": utterances}) + "\n")
    return folder / "test.jsonl"


@pytest.mark.bench
@pytest.mark.timeout(1800)
def test_a_million_utterances(tmp_path: Path, keep: Callable[..., None]) -> None:
    size = write_corpus(tmp_path / "large").stat().st_size
    where = ("--data-dir", str(tmp_path))
    read = cost_of("data", "show", "large", *where, n_rounds=1)
    results = ("--results-dir", str(tmp_path / "results"))
    run = cost_of("run", "majority", "--dataset", "large", "--quiet", *where, *results, n_rounds=1)
    board = tmp_path / "results" / "leaderboards" / "large" / "board.toml"
    board.parent.mkdir(parents=True)
    board.write_text('datasets = ["large"]\n[[predictors]]\nname = "majority"\n')
    built = cost_of("leaderboard", "build", "large", *results, n_rounds=1)
    figures = {
        name: {"seconds": round(cost.seconds, 1), "megabytes": round(cost.megabytes)}
        for name, cost in (("data_show", read), ("run_majority", run), ("leaderboard_build", built))
    }
    keep("large_corpus", {"n_utterances": N_DIALOGUES * N_EACH, "file_megabytes": round(size / 1e6, 1), **figures})
    print(f"\n{figures}")
    assert read.megabytes <= READ_BOUND, read
    assert max(run.megabytes, built.megabytes) <= RUN_BOUND, (run, built)
