"""Scores of how near texts are to others: BM25 over words, or cosines of vectors. Knows no label and no dialogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.text import matching_words

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors of length 1: float32 (n_texts, width)."""

K1, B = 1.2, 0.75
"""Saturation of word counts and correction for length. Source: Robertson & Zaragoza 2009, section 3.4: good values are
1.2 < k1 < 2 and 0.5 < b < 0.8; these are the defaults of Lucene."""

_CHUNK = 256
"""Queries scored at once: 20 MB for 10,000 texts."""


class Retriever(Protocol):
    """Texts to find."""

    def score(self, queries: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """Yields for each query how near every text is: float64 (n_texts,), higher is nearer."""


def nearest(scores: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Returns the positions of the n highest scores, highest first; of equal ones the earlier first."""
    cut = np.partition(scores, -n)[-n]
    near = np.flatnonzero(scores >= cut)
    return near[np.argsort(-scores[near], kind="stable")[:n]]


class Bm25:
    """BM25: the weights of the words a text shares with the query, less for frequent words and long texts.

    score(q, d) = sum over words t of q, repeated ones repeatedly, of
    max(0, log((N - n_t + 0.5) / (n_t + 0.5))) * f_td * (k1 + 1) / (f_td + k1 * (1 - b + b * |d| / mean |d|)).

    Source: Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.4. A word in
    more than half of the texts weighs nothing here; there it would count against a text.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        words = [matching_words(text) for text in texts]
        self._column = {word: i for i, word in enumerate(dict.fromkeys(word for text in words for word in text))}
        counts = self._count(words)
        n_texts = np.bincount(counts.indices, minlength=len(self._column))
        rarity = np.maximum(0.0, np.log((len(texts) - n_texts + 0.5) / (n_texts + 0.5)))
        length = counts.sum(axis=1)
        norm = K1 * (1 - B + B * length / max(length.mean(), 1e-9))
        rows = np.repeat(np.arange(len(texts)), np.diff(counts.indptr))
        counts.data = rarity[counts.indices] * counts.data * (K1 + 1) / (counts.data + norm[rows])
        self._weights = counts.T.tocsr()

    def score(self, queries: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """Yields for each query how near every text is: float64 (n_texts,)."""
        for start in range(0, len(queries), _CHUNK):
            counts = self._count([matching_words(query) for query in queries[start : start + _CHUNK]])
            yield from (counts @ self._weights).toarray()

    def _count(self, texts: Sequence[Sequence[str]]) -> csr_array:
        """Known words per text: float64 (n_texts, n_words)."""
        from scipy.sparse import csr_array

        counts = [Counter(self._column[word] for word in text if word in self._column) for text in texts]
        ends = np.cumsum([0, *(len(count) for count in counts)])
        columns = np.fromiter((column for count in counts for column in count), np.int64, ends[-1])
        values = np.fromiter((value for count in counts for value in count.values()), np.float64, ends[-1])
        return csr_array((values, columns, ends), shape=(len(texts), len(self._column)))


class UnitVectors:
    """Cosines between encoded texts."""

    def __init__(self, texts: Sequence[str], encode: Encode) -> None:
        self._encode = encode
        self._vectors = encode(texts).astype(np.float64)

    def score(self, queries: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """Yields for each query how near every text is: float64 (n_texts,).

        Rounded to seven digits, so that texts that are equal stay equal whatever shape they were multiplied in.
        """
        vectors = self._encode(queries).astype(np.float64)
        for start in range(0, len(queries), _CHUNK):
            yield from np.round(vectors[start : start + _CHUNK] @ self._vectors.T, 7)
