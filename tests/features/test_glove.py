"""Means of word vectors from a file of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError, ModelError
from harness.features.glove import Glove
from harness.schema import UtteranceView

FILE = "the 0.1 0.2\nnaïve 1 -1\ndon't 3 5\n. . 9 9\nthe 7 7\n"


def say(text: str) -> UtteranceView:
    return UtteranceView("u", ("A",), text)


def test_known_words_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text(FILE, encoding="utf-8")
    rows = Glove(str(path)).encode([say("The NAÏVE one"), say("Don’t!"), say("nothing known"), say("")])
    assert (rows.shape, rows.dtype) == ((4, 1, 2), np.float32)
    np.testing.assert_allclose(rows[:, 0], [[0.55, -0.4], [3, 5], [0, 0], [0, 0]], atol=1e-6)
    before = Glove(str(path)).identity()
    path.write_text(FILE + "more 1 1\n", encoding="utf-8")
    assert Glove(str(path)).identity() != before


def test_lines_that_are_no_vectors_are_named(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("a 1 2\nb 1 2 3\n")
    with pytest.raises(DataError, match=r"g\.txt, line 2: 3 numbers, expected 2"):
        Glove(str(tmp_path / "g.txt")).encode([say("a b")])
    (tmp_path / "h.txt").write_text("a x y\n")
    with pytest.raises(DataError, match=r"h\.txt, line 1: expected a word and 2 numbers"):
        Glove(str(tmp_path / "h.txt")).encode([say("a")])
    with pytest.raises(ModelError, match="no such file; give a GloVe text file: glove:FILE"):
        Glove(str(tmp_path / "absent")).encode([say("a")])
