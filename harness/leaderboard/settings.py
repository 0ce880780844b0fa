"""How an entry came about, as its run tells, for the comparison with published values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.leaderboard.leaderboard import DatasetHeader, Entry
from harness.literature import Setting
from harness.schema.run import Manifest, PredictorRecord

READ = ("encoder", "audio", "visual", "knowledge", "base", "model")
"""Parameters that name what a system reads, or is built on."""

HELD_OUT = "train, on a part held out"
"""Where a recipe keeps the checkpoint with the lowest loss on such a part, as DialogueLLM's released code does."""

OURS = "erc-harness"
"""Origin of predictors whose facts always tell of an epoch that was chosen."""


def make_setting(entry: Entry, header: DatasetHeader, manifest: Manifest, changed: str) -> Setting:
    """Returns how an entry came about.

    Args:
        entry: the entry.
        header: of its dataset.
        manifest: of any of its runs.
        changed: parameters that differ from those of the published system, as a row shows them.
    """
    return Setting(
        dataset=header.dataset,
        split=header.split,
        n_labels=len(header.labels),
        n_utterances=header.n_utterances,
        metric=header.metric,
        selection=selection_of(manifest.predictor),
        reads=reads_of(manifest.predictor.params),
        modalities=entry.modalities,
        n_seeds=entry.n_seeds,
        changed=changed,
    )


def changed_settings(entry: Entry) -> str:
    """Returns the parameters in brackets behind the name of an entry, but for what it reads."""
    _, _, inner = entry.predictor.partition("[")
    parts = inner.removesuffix("]").split(",") if inner else []
    return ",".join(part for part in parts if part.partition("=")[0] not in READ)


def reads_of(params: Mapping[str, Any]) -> str:
    """Returns what the parameters of a run say that it reads: encoders, a base model, descriptions of the video."""
    named = [params[key] for key in READ if params.get(key)]
    return " + ".join([*(["descriptions of the video"] if params.get("video") else []), *map(str, named)])


def selection_of(made: PredictorRecord) -> str:
    """Returns the split that chose an epoch, of the system or of the features tuned for it.

    "none" of a system that chooses no epoch, such as a logistic regression; "unknown" of a trained plugin that tells
    nothing.
    """
    training: Mapping[str, Any] = made.facts.get("training", {})
    features: Mapping[str, Any] = made.facts.get("features", {})
    chosen_by = str(training.get("selected_by", "dev" if "best_epoch" in training else ""))
    if "held-out" in chosen_by:
        return HELD_OUT
    tuned = any("epoch" in feature.get("learned", {}) for feature in features.values())
    if chosen_by.startswith("dev") or tuned:
        return "dev"
    tells = not made.card["trained_on"] or made.origin == OURS or training
    return "none" if tells else "unknown"
