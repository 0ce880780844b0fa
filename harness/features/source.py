"""Where a predictor gets features of the dataset at hand: made when first asked for, then read from disk."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from harness.data import Split
from harness.errors import DataError
from harness.features.encoder import ENCODERS, Encoder, EncoderName, Tell, tell_nobody
from harness.features.features import Features
from harness.features.spoken import SpokenSplit
from harness.features.tables import FeatureTable, encoder_folder, load_table


class FeatureSource:
    """The splits of one dataset, ready to be encoded; labels of train and dev are for encoders that learn.

    Args:
        splits: of one dataset. Of splits other than train and dev no label is kept.
        target: name of the split that is to be predicted; None: utterances of no split in particular.
        download: whether the hub may be asked for what is not on this machine.
    """

    def __init__(self, splits: Iterable[Split] = (), target: str | None = None, download: bool = False) -> None:
        splits = tuple(splits)
        self.target = target
        self.spoken: dict[str, SpokenSplit] = {split.name: SpokenSplit.of(split) for split in splits}
        self._labelled: dict[str, Split] = {split.name: split for split in splits if split.name in ("train", "dev")}
        self._download = download

    def load(self, text: str, seed: int = 0, tell: Tell = tell_nobody) -> Features:
        """Returns the features by an encoder; tables are made or opened when their rows are asked for.

        Args:
            text: name of the encoder, see `EncoderName`.
            seed: of the run; features of encoders that learn depend on it.
            tell: told how far encoding and learning have come.

        Raises:
            UnknownNameError, ConfigError: the name.
            ModelError, MissingDependencyError: weights or packages are missing.
            DataError: an encoder is to learn and there is nothing to learn from.
        """
        name = EncoderName.parse(text)
        spec = ENCODERS.get(name.encoder)
        encoder = spec.build(name.argument, seed, self._download)
        identity = encoder.identity()
        if encoder.learns:
            identity |= {"learned_from": self._learned_from(text), "seed": seed}
        folder = encoder_folder(name.encoder, identity)
        learned = encoder.learn(self._labelled["train"], self._labelled["dev"], folder, tell) if encoder.learns else {}
        shown = name.with_argument(type(encoder).named(name.argument))
        return Features(
            name=shown,
            kind=spec.kind,
            layers=name.layers,
            seed=seed if encoder.learns else None,
            trained_on=("train",) if encoder.learns else (),
            identity=identity,
            learned=learned,
            encoder=encoder,
            folder=folder,
            splits=self.spoken,
            open_table=_Tables(self.spoken, folder, identity, encoder, tell).open,
        )

    def _learned_from(self, text: str) -> dict[str, str]:
        missing = [name for name in ("train", "dev") if name not in self._labelled]
        if missing:
            raise DataError(f"encoder {text!r} learns from labels, and there is no {missing[0]} split to learn from")
        return {name: self._labelled[name].fingerprint for name in ("train", "dev")}


class _Tables:
    """The tables of one encoder, each opened once."""

    def __init__(
        self, splits: dict[str, SpokenSplit], folder: Path, identity: dict[str, Any], encoder: Encoder, tell: Tell
    ) -> None:
        self._splits, self._folder, self._identity, self._encoder, self._tell = splits, folder, identity, encoder, tell
        self._opened: dict[str, FeatureTable] = {}

    def open(self, split: str) -> FeatureTable:
        if split not in self._opened:
            spoken = self._splits[split]
            make = partial(self._encoder.encode_split, spoken, self._tell)
            self._opened[split] = load_table(self._folder, spoken, self._identity, make)
        return self._opened[split]
