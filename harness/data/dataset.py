"""A dataset as read: its card and its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.data.split import Split, SplitName
from harness.errors import UnknownNameError
from harness.schema import LabelSet


@dataclass(frozen=True)
class ClipNames:
    """How a release names its video clips: one folder a split, one file an utterance, called by its id."""

    folders: Mapping[SplitName, tuple[str, ...]]
    """Names that the folder of a split may have, the likeliest first."""
    suffix: str = ".mp4"


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a corpus before it is read."""

    title: str
    label_set: LabelSet
    language: str
    """BCP 47 code."""
    license: str
    source: str
    """Who releases it, and where."""
    folder: str
    """Name of its folder under the data directory."""
    files: tuple[str, ...]
    """Paths that must exist in the folder."""
    redistributable: bool
    """Whether its text may be passed on."""
    obtain: str
    """One line: how to get it."""
    metric: str = "weighted_f1"
    """The field's main metric for this corpus."""
    anomalies: tuple[str, ...] = ()
    """Known peculiarities of the release, one sentence each."""
    table_notes: tuple[str, ...] = ()
    """What a reader of a table on this corpus must know, one sentence each: 'the test split holds two speakers'."""
    clips: ClipNames | None = None
    """How its video clips are named; None: it has none, or nobody has said."""
    bundled: Path | None = None
    """Where it lies inside an installed package; None: under the data directory."""


@dataclass(frozen=True)
class Dataset:
    """A corpus: card and splits."""

    name: str
    card: DatasetCard
    splits: Mapping[str, Split]
    """Split by name: train, dev, test."""

    def split(self, name: str) -> Split:
        """Returns a split.

        Raises:
            UnknownNameError: the dataset has no such split.
        """
        if name not in self.splits:
            raise UnknownNameError.of(f"split of {self.name!r}", name, self.splits)
        return self.splits[name]

    @cached_property
    def utterance_ids(self) -> dict[str, frozenset[str]]:
        """Ids of the utterances, annotated or not, by split."""
        return {name: frozenset(u.id for u in split.utterances()) for name, split in self.splits.items()}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of the lines "NAME FINGERPRINT\\n" of its splits, sorted by name."""
        lines = "".join(f"{name} {self.splits[name].fingerprint}\n" for name in sorted(self.splits))
        return hashlib.sha256(lines.encode()).hexdigest()
