"""Words of an utterance, the vocabulary of a training split, and vectors from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from baselines.utterance.words import UNKNOWN, Vocabulary, WordVectors, repeated_words, split_words
from harness.errors import DataError, ModelError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don’t KNOW!!", ["i", "do", "n't", "know", "!", "!"]),
        ("It's Ross' ... isn't it?", ["it", "'s", "ross", "'", "...", "is", "n't", "it", "?"]),
        ("we'll y'all 9-5", ["we", "'ll", "y", "'", "all", "9", "-", "5"]),
        ("  ", []),
    ],
)
def test_words_and_marks_stand_apart(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_words_said_once_are_unknown() -> None:
    vocabulary = repeated_words(["b a a", "b a c"])
    assert (vocabulary.words, len(vocabulary)) == (("a", "b"), 4)
    assert vocabulary.number("A b c d").tolist() == [2, 3, UNKNOWN, UNKNOWN]
    assert vocabulary.number("").dtype == np.int64
    assert repeated_words(["a b"]) == Vocabulary(())


def test_vectors_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("the 0.5 2\n! 1 -1\nn't 3 5\nother 7 7\n", encoding="utf-8")
    vocabulary, rows = WordVectors(str(path)).vectors_of(["The don't!", "zebra"])
    assert vocabulary.words == ("!", "n't", "the")
    np.testing.assert_allclose(rows, [[0, 0], [1.5, 2], [1, -1], [3, 5], [0.5, 2]])
    with pytest.raises(DataError, match=r"glove\.txt: no word of the training split"):
        WordVectors(str(path)).vectors_of(["zebra"])
    with pytest.raises(ModelError, match="no such file"):
        WordVectors(str(tmp_path / "absent")).vectors_of(["a"])
