"""What a predictor is lent for one session: none of it changes what it predicts, so none is part of a run's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.llm.calls import CallSettings

if TYPE_CHECKING:
    from harness.features.source import FeatureSource
    from harness.schema import LabelSet


@dataclass(frozen=True, slots=True)
class FitProgress:
    """How far learning has come."""

    done: int
    """Steps taken."""
    total: int
    """Steps planned; early stopping may end sooner."""
    text: str = ""
    """How it goes, in a few words: loss, score on dev, speed."""


def ignore_progress(progress: FitProgress) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where things are and whom to tell, while a predictor is used."""

    calls: CallSettings = field(default_factory=CallSettings)
    """How calls to language models are made."""
    data_dir: Path | None = None
    """Where corpora lie, for a predictor that learns from further ones."""
    label_set: LabelSet | None = None
    """Of the dataset at hand, where predictions may all be made elsewhere: in shards, or in an earlier session."""
    trained: Path | None = None
    """Folder in which weights are kept that took long to train; None: in the user's cache folder."""
    features: FeatureSource | None = None
    """Features of the dataset at hand; None: of the splits that `fit` gets."""
    checkpoints: Path | None = None
    """Folder for what an interrupted `fit` goes on from, and for the weights of every epoch; None: nothing is kept."""
    report: Callable[[FitProgress], None] = ignore_progress
    """Told while a predictor learns."""
