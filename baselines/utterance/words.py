"""Utterances as numbers of words, the vocabulary they come from, and word vectors of the user's. Loads no torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.data.text import canonical_text
from harness.errors import DataError
from harness.features.glove import Glove

WORD = re.compile(r"\w+(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|\w+|\.{3}|[^\w\s]")
"""Words, marks and contracted endings apart, as GloVe's own text was split: do n't, it 's, '...'."""

PADDING, UNKNOWN = 0, 1
"""Numbers of what stands beyond the end of an utterance, and of every word outside the vocabulary."""

N_SPECIAL = 2


def split_words(text: str) -> list[str]:
    """Returns the words and punctuation marks of a text, in lower case."""
    return WORD.findall(canonical_text(text).lower())


@dataclass(frozen=True)
class Vocabulary:
    """The words that have a number of their own."""

    words: tuple[str, ...]
    """The first one is number 2."""

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words, start=N_SPECIAL)}

    def __len__(self) -> int:
        return len(self.words) + N_SPECIAL

    def number(self, text: str) -> NDArray[np.int64]:
        """Returns int64 (n_words,), the numbers of the words of a text; nothing for a text without words."""
        return np.array([self._numbers.get(word, UNKNOWN) for word in split_words(text)], dtype=np.int64)


def repeated_words(texts: Iterable[str]) -> Vocabulary:
    """Returns the words that occur twice or more, by falling count: those said once teach what an unknown word is."""
    counts = Counter(word for text in texts for word in split_words(text))
    return Vocabulary(tuple(word for word, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if n > 1))


class WordVectors(Glove):
    """Vectors of single words from a GloVe text file."""

    def vectors_of(self, texts: Sequence[str]) -> tuple[Vocabulary, NDArray[np.float32]]:
        """Returns the words of texts that the file has, and float32 (n_numbers, width), a row for each number.

        Padding is 0; an unknown word is the mean of the known ones.

        Raises:
            ModelError: there is no such file.
            DataError: it has none of the words, or a line is not a word and its numbers.
        """
        found, width = self._read({word for text in texts for word in split_words(text)})
        if not found:
            raise DataError.at(self._path, "no word of the training split; expected a GloVe text file of its language")
        known = sorted(found)
        rows = np.stack([found[word] for word in known])
        special = np.stack([np.zeros(width, np.float32), rows.mean(axis=0)])
        return Vocabulary(tuple(known)), np.concatenate([special, rows])
