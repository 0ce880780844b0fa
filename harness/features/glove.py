"""Word vectors of the user's, averaged over the words of an utterance: GloVe's text format."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.text import matching_words
from harness.errors import DataError, ModelError
from harness.features.encoder import Encoder, Layers, Tell, register_encoder, tell_nobody
from harness.features.weights import content_name
from harness.schema import UtteranceView


@register_encoder("glove", kind="frozen", argument="FILE", summary="Mean of the word vectors in a GloVe text file.")
class Glove(Encoder):
    """The mean over the known words of an utterance, lower case; zeros where none is known.

    The file has a line per word: the word, then its numbers, separated by spaces. Only words that are asked for are
    kept. Source: Pennington et al. 2014 for the vectors.
    """

    def identity(self) -> dict[str, Any]:
        """Returns name and content of the file."""
        return {"encoder": "glove", "content": content_name(self._path), "sha256": self._sha256}

    def encode(self, utterances: Sequence[UtteranceView], tell: Tell = tell_nobody) -> Layers:
        """Returns float32 (n_utterances, 1, width).

        Raises:
            DataError: a line is not a word and as many numbers as the first one's.
        """
        spoken = [matching_words(u.text) for u in utterances]
        vectors, width = self._read({word for words in spoken for word in words})
        rows = np.zeros((len(spoken), 1, width), dtype=np.float32)
        for i, words in enumerate(spoken):
            known = [vectors[word] for word in words if word in vectors]
            if known:
                rows[i, 0] = np.mean(known, axis=0)
            tell(i + 1, len(spoken), "utterances encoded")
        return rows

    @classmethod
    def named(cls, argument: str) -> str:
        """Returns name and content of the file."""
        return content_name(Path(argument))

    @cached_property
    def _path(self) -> Path:
        path = Path(self.argument).expanduser()
        if not path.is_file():
            raise ModelError(f"{str(path)!r}: no such file; give a GloVe text file: glove:FILE")
        return path

    @cached_property
    def _sha256(self) -> str:
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _read(self, wanted: set[str]) -> tuple[dict[str, NDArray[np.float32]], int]:
        """Returns the vectors of the wanted words that the file has, and their width."""
        vectors: dict[str, NDArray[np.float32]] = {}
        width = 0
        with self._path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                word, *numbers = line.rstrip("\n").split(" ")
                width = width or len(numbers)
                if word in wanted and word not in vectors:
                    try:
                        with np.errstate(over="ignore"):
                            vectors[word] = np.array(numbers, dtype=np.float32)
                    except ValueError:
                        raise DataError.at(self._path, f"expected a word and {width} numbers", line=number) from None
                    if not np.isfinite(vectors[word]).all():
                        raise DataError.at(self._path, f"the vector of {word!r} is not finite", line=number)
                    if len(numbers) != width or not width:
                        raise DataError.at(self._path, f"{len(numbers)} numbers, expected {width}", line=number)
        return vectors, width
