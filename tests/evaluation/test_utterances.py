"""Stored predictions met with their corpus, on the committed runs of MELD and of the bundled sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from harness.errors import ConfigError, IncompatibleRunsError
from harness.evaluation.comparison import compare_runs
from harness.evaluation.scoring import load_system
from harness.evaluation.utterances import find_split, unit_counts
from harness.significance import design_effects
from harness.store import Layout, RunStore, StoredRun

STORE = RunStore(Layout(Path(__file__).parents[2] / "results"))


def pair_of(dataset: str) -> tuple[StoredRun, StoredRun]:
    first = {run.manifest.predictor.name: run for run in reversed(STORE.runs(dataset, "test"))}
    return first["tfidf-svm"], first["tfidf-logreg"]


def test_counts_by_utterance_sum_to_the_stored_ones(data_dir: Path) -> None:
    for dataset in ("sample", "meld"):
        pair = pair_of(dataset)
        systems, split = [load_system([run]) for run in pair], find_split(pair[0], data_dir)
        for system, counts in zip(systems, unit_counts(systems, "utterance", split), strict=True):
            assert (counts.sum(axis=(2, 3)) == 1).all()
            assert (counts.sum(axis=1)[0] == system.tables[0].confusion.counts.sum(axis=0)).all()


def test_the_design_effect_is_that_of_plain_arrays(data_dir: Path) -> None:
    pair = pair_of("meld")
    split = find_split(pair[0], data_dir)
    labels = list(split.label_set.labels)
    gold = np.array([labels.index(label) for label in split.gold.values()])
    dialogue = np.array([i for i, d in enumerate(split.dialogues) for _ in d.labelled()])
    said = [[p.label for p in run.predictions().values()] for run in pair]
    predictions = np.array([[[labels.index(label or "") for label in one]] for one in said])
    expected = design_effects(gold, dialogue, predictions, len(labels))[0, 1]
    found = compare_runs([pair[0]], [pair[1]], split=split)
    assert found.design_effect == pytest.approx(expected, rel=1e-9)
    assert found.score_a == pytest.approx(f1_score(list(split.gold.values()), said[0], average="weighted"), abs=1e-12)
    one_label = compare_runs([pair[0]], [pair[1]], metric="f1:joy", split=split).design_effect
    place = labels.index("joy")
    assert one_label == pytest.approx(
        design_effects(gold, dialogue, predictions, len(labels), metric=f"f1:{place}")[0, 1], rel=1e-9
    )


def test_what_does_not_fit_is_refused() -> None:
    a, b = pair_of("sample")
    with pytest.raises(ConfigError, match="unit 'utterance' needs the corpus"):
        compare_runs([a], [b], unit="utterance")
    other = pair_of("meld")
    with pytest.raises(IncompatibleRunsError, match="is not the one predicted"):
        compare_runs([other[0]], [other[1]], split=find_split(a))
    assert compare_runs([a], [a], split=find_split(a)).design_effect is None
