"""Stored predictions met with the gold of their corpus, utterance by utterance: what counts by dialogue cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.data import Split, load_dataset
from harness.errors import ConfigError, IncompatibleRunsError
from harness.evaluation.scoring import System, cluster_index
from harness.metrics import Metric, tally
from harness.metrics.confusion import IntArray
from harness.significance import compare_systems
from harness.store import StoredRun

UTTERANCE = "utterance"


def find_split(run: StoredRun, data_dir: Path | None = None) -> Split:
    """Returns the split that a run predicted, read from the corpus.

    Args:
        run: any run on the split.
        data_dir: folder that holds one folder a corpus; the bundled sample needs none.

    Raises:
        UnknownNameError: no such dataset or split here.
        DatasetNotFoundError: its files are not there.
        DataError: they do not follow their format.
        IncompatibleRunsError: they are another release than the one predicted.
    """
    data = run.manifest.data
    split = load_dataset(data.dataset, data_dir).split(data.split)
    check_release(run, split)
    return split


def check_release(run: StoredRun, split: Split) -> None:
    """Checks that a run predicted this very split.

    Raises:
        IncompatibleRunsError: the fingerprints differ; both are shown.
    """
    data = run.manifest.data
    if split.fingerprint != data.fingerprint:
        raise IncompatibleRunsError(
            f"the corpus here is not the one predicted: split {split.name!r} of {split.dataset!r} has fingerprint "
            f"{split.fingerprint!r}, {run.manifest.predictor.name}/{run.manifest.run_id} has {data.fingerprint!r}; "
            "give the folder of that release with --data-dir"
        )


def unit_counts(systems: Sequence[System], unit: str, split: Split | None = None) -> list[IntArray]:
    """Returns per system the counts by unit, int64 (n_seeds, n_units, n_labels, n_labels + 1).

    Args:
        systems: on one split.
        unit: "dialogue", an attribute of dialogues, or "utterance".
        split: what they predicted; needed for "utterance" only.

    Raises:
        ConfigError: counts by this unit are not stored, and no split is given.
        IncompatibleRunsError: another split than the one predicted.
        StoreError: a file of predictions is missing or corrupt.
    """
    if unit != UTTERANCE:
        clusters = cluster_index(systems[0].tables[0], unit)
        return [system.counts(clusters) for system in systems]
    if split is None:
        raise ConfigError(
            "unit 'utterance' needs the corpus, since runs store counts by dialogue; give --data-dir DIR (in Python "
            "split=find_split(run, DIR)), or use unit 'dialogue'"
        )
    return [utterance_counts(system, split) for system in systems]


def utterance_counts(system: System, split: Split) -> IntArray:
    """Returns counts with each utterance alone, int64 (n_seeds, n_utterances, n_labels, n_labels + 1).

    Raises:
        IncompatibleRunsError: another split than the one predicted.
        StoreError: a file of predictions is missing or corrupt.
    """
    label_set, n = split.label_set, len(split.gold)
    gold = np.array([label_set.index(label) for label in split.gold.values()], dtype=np.int64)
    counts = []
    for run in system.runs:
        check_release(run, split)
        given = run.predictions()
        said = [given[utterance].label for utterance in split.gold]
        predicted = np.array([-1 if label is None else label_set.index(label) for label in said], dtype=np.int64)
        counts.append(tally(np.arange(n), gold, predicted, n, len(label_set)))
    return np.stack(counts)


def design_effect(pair: Sequence[System], metric: Metric, split: Split) -> float | None:
    """Returns how much dialogues inflate the variance of the difference of two systems; None if they never differ.

    (SE with dialogues as unit / SE with utterances as unit)^2, of the run of lowest seed of each: what
    `harness.significance.design_effects` gives, here for metrics that know the labels by name too.
    Source: Kish 1965, section 8.2.

    Raises:
        IncompatibleRunsError: another split than the one predicted.
        StoreError: a file of predictions is missing or corrupt.
    """
    first = [System(system.label, system.runs[:1], system.tables[:1]) for system in pair]
    by_dialogue, by_utterance = (
        float(compare_systems(unit_counts(first, unit, split), metric, test="t", unit=unit).pair_se[0, 1])
        for unit in ("dialogue", UTTERANCE)
    )
    return (by_dialogue / by_utterance) ** 2 if by_utterance else None
