"""Descriptions of videos as the prompts of a predictor show them: of the right split, masked or not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

from harness.data.descriptions import Descriptions, read_descriptions
from harness.data.emotion_words import EmotionWords, WordCounts
from harness.errors import ConfigError
from harness.prompting.label_names import LabelNames


class Videos:
    """The descriptions of a file; without a file there are none."""

    def __init__(self, file: str | None, mask_emotion_words: bool) -> None:
        """Reads nothing yet."""
        self._file, self._mask = file, mask_emotion_words
        self._split: str | None = None
        self._shown: dict[LabelNames, Descriptions] = {}
        self._leaks: dict[LabelNames, WordCounts] = {}

    def expect(self, split: str, utterance_ids: Mapping[str, Collection[str]]) -> None:
        """Takes the split that will be predicted, and checks that all that is described is in the dataset.

        Args:
            split: its name.
            utterance_ids: of the dataset, by split.

        Raises:
            ConfigError: nothing of this split is described.
            DataError: the file cannot be read, or describes other utterances.
        """
        self._split = split
        if self._file:
            self._read.check(utterance_ids)
            if self._read.of(split).keys().isdisjoint(utterance_ids[split]):
                raise ConfigError(f"video {self._file!r} describes no utterance of split {split!r}; leave it out")

    def of(self, names: LabelNames, split: str | None = None) -> Mapping[str, str]:
        """Returns descriptions by utterance id, as shown.

        Args:
            names: of the labels, which are masked with the other words where that is asked for.
            split: of the utterances; None: the one that is predicted.
        """
        return self._as_shown(names).of(split or self._split) if self._file else {}

    def count_leaks(self, names: LabelNames) -> WordCounts | None:
        """Returns how many descriptions, as shown, contain an emotion word; None without a file."""
        if not self._file:
            return None
        if names not in self._leaks:
            self._leaks[names] = _words(names).count(self._as_shown(names).texts())
        return self._leaks[names]

    @property
    def described_by(self) -> tuple[str, ...]:
        """Who described them, as far as the file tells."""
        return self._read.described_by if self._file else ()

    @cached_property
    def _read(self) -> Descriptions:
        return read_descriptions(Path(self._file or ""))

    def _as_shown(self, names: LabelNames) -> Descriptions:
        if not self._mask:
            return self._read
        if names not in self._shown:
            self._shown[names] = self._read.map(_words(names).mask)
        return self._shown[names]


def _words(names: LabelNames) -> EmotionWords:
    return EmotionWords(frozenset((*names.label_set.labels, *names.shown)))
