"""Retrieval: BM25 against rank-bm25, cosines and the order of ties against plain sorting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from harness.data import load_dataset
from harness.data.text import matching_words
from harness.prompting.retrieval import K1, B, Bm25, UnitVectors, nearest

SAMPLE = load_dataset("sample", None)
TRAIN = [utterance.text for utterance in SAMPLE.split("train").utterances()]
TEST = [utterance.text for utterance in SAMPLE.split("test").utterances()]


def test_bm25_as_in_rank_bm25() -> None:
    """BM25Okapi has the same formula where no word is in more than half of the texts, as here."""
    oracle = BM25Okapi([list(matching_words(text)) for text in TRAIN], k1=K1, b=B)
    assert min(oracle.idf.values()) > 0
    queries = [*TEST, *TRAIN, "", "?!", "you you you", "unheard-of wordlessness"]
    scores = list(Bm25(TRAIN).score(queries))
    assert len(scores) == len(queries) > 256, "more than one chunk"
    for query, row in zip(queries, scores, strict=True):
        np.testing.assert_allclose(row, oracle.get_scores(matching_words(query)), rtol=1e-12, atol=1e-12)


def test_bm25_by_hand() -> None:
    """Three texts of 2, 1 and 3 words; 'cat' is in one of them, 'the' in all and therefore without weight."""
    (row,) = Bm25(["the cat", "the", "the dog dog"]).score(["the cat dog"])
    cat = math.log(2.5 / 1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 2))
    dogs = math.log(2.5 / 1.5) * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2))
    np.testing.assert_allclose(row, [cat, 0, dogs])


def test_bm25_of_texts_without_words() -> None:
    assert [row.tolist() for row in Bm25(["...", "!"]).score(["hello", ""])] == [[0, 0], [0, 0]]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_nearest_is_a_stable_sort(scores: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(scores)))
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:n]
    assert nearest(np.array(scores, dtype=np.float64), n).tolist() == expected


def test_cosines_do_not_depend_on_the_other_queries() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(700, 16)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    table[500] = table[3]

    def encode(texts: object) -> np.ndarray:
        return table[[int(text) for text in texts]]  # type: ignore[attr-defined]

    texts = [str(i) for i in range(700)]
    vectors = UnitVectors(texts, encode)
    together = np.array(list(vectors.score(texts)))
    np.testing.assert_allclose(together, table.astype(np.float64) @ table.T.astype(np.float64), atol=1e-7)
    for i in (0, 3, 255, 256, 699):
        (alone,) = vectors.score([str(i)])
        assert alone.tolist() == together[i].tolist()
        assert alone[3] == alone[500], "texts that are equal stay equal"


@pytest.mark.parametrize("n_queries", [0, 1, 256, 257])
def test_one_row_a_query(n_queries: int) -> None:
    assert len(list(Bm25(TRAIN).score(["you"] * n_queries))) == n_queries
