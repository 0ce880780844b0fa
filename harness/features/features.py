"""The features of a dataset by one encoder: rows by utterance, from disk where they are kept, else made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, DataError
from harness.features.encoder import Encoder, Kind, Layers
from harness.features.spoken import SpokenSplit
from harness.features.tables import FeatureTable
from harness.schema import UtteranceView

Rows = NDArray[np.float32]
"""float32 (n_utterances, width)."""


@dataclass(frozen=True, eq=False)
class Features:
    """One vector per utterance, and where it comes from."""

    name: str
    """As results name it: no path."""
    kind: Kind
    layers: str
    """Which layers a vector is made of; see `EncoderName`."""
    seed: int | None
    """Of the training of the encoder; None if it learned nothing."""
    trained_on: tuple[str, ...]
    """Splits whose labels the encoder has seen."""
    identity: Mapping[str, Any]
    learned: Mapping[str, Any]
    """What came of the training of the encoder; empty if it learned nothing."""
    encoder: Encoder
    folder: Path
    """Where its tables are kept."""
    splits: Mapping[str, SpokenSplit]
    open_table: Callable[[str], FeatureTable]
    """Opens the table of a split by its name."""

    def width(self, split: str) -> int:
        """Returns the width of the vectors."""
        return int(select_layers(self.open_table(split).array[:1], self.layers, self.name).shape[1])

    def rows(self, utterances: Sequence[UtteranceView], split: str | None = None) -> Rows:
        """Returns a vector per utterance, float32 (n_utterances, width).

        Args:
            utterances: whole or part of a split, or anything else; an utterance that is not as the split has it, word
                for word, is encoded anew.
            split: name of the split that they are of, if known.

        Raises:
            DataError: an utterance has no row in features that were computed elsewhere.
        """
        own = self.splits[split].by_id if split is not None and split in self.splits else {}
        at = np.array([self._row(own, utterance) for utterance in utterances], dtype=np.int64)
        here, new = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
        parts: list[tuple[NDArray[np.intp], Rows]] = []
        if split is not None and here.size:
            layers = self.open_table(split).array[at[here]]
            parts.append((here, select_layers(layers, self.layers, self.name)))
        if new.size:
            layers = self.encoder.encode([utterances[int(i)] for i in new])
            parts.append((new, select_layers(layers, self.layers, self.name)))
        if not parts:
            raise DataError("no utterance to give features of; expected at least one")
        rows = np.empty((len(utterances), parts[0][1].shape[1]), dtype=np.float32)
        for where, values in parts:
            rows[where] = values
        return rows

    def facts(self) -> dict[str, Any]:
        """Returns what a manifest says of the features, as JSON values."""
        facts = {"name": self.name, "kind": self.kind, "layers": self.layers, **self.identity}
        if self.trained_on:
            facts |= {"trained_on": list(self.trained_on), "seed": self.seed, "learned": dict(self.learned)}
        return facts

    def _row(self, own: Mapping[str, tuple[int, UtteranceView]], asked: UtteranceView) -> int:
        """Returns the row of an utterance in the table of its split; -1 if it is not as the split has it.

        A recording goes by its id, whatever was made of its words.
        """
        if asked.id not in own:
            return -1
        row, ours = own[asked.id]
        same = self.kind == "precomputed" or (ours.text, ours.speakers) == (asked.text, asked.speakers)
        return row if same else -1


def select_layers(layers: Layers, which: str, name: str) -> Rows:
    """Returns one vector per utterance, float32 (n_utterances, width), from the layers that an encoder keeps.

    Raises:
        ConfigError: the encoder keeps fewer layers.
    """
    if which == "mean":
        return np.asarray(layers.mean(axis=1), dtype=np.float32)
    n_wanted = int(which.rpartition("r")[2])
    if n_wanted > layers.shape[1]:
        raise ConfigError(f"encoder {name!r} keeps {layers.shape[1]} layers, {which!r} asks for {n_wanted}; ask for r1")
    return np.asarray(layers[:, :n_wanted].reshape(len(layers), -1), dtype=np.float32)
