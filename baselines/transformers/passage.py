"""What a fine-tuned transformer reads at once, as token ids. Importing it loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Passage:
    """Token sequences that are read together, and the utterances whose labels are asked for.

    A system that gives its network more than words derives a passage of its own from this one.
    """

    tokens: tuple[tuple[int, ...], ...]
    """Ids of every sequence: one for each utterance, or one for all, as the system wants it."""
    answers: tuple[int, ...]
    """Positions, in the view, of the utterances that get a row of logits, in order."""
    speakers: tuple[int, ...] = ()
    """Who says each sequence, numbered by first appearance; () where the words say it."""
    labels: tuple[int, ...] = ()
    """Ids of the labels of `answers`, -1 where there is none; () where nobody knows any."""

    @property
    def n_tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(map(len, self.tokens))

    def gold(self) -> NDArray[np.int64]:
        """Returns the labels, int64 (n_answers,)."""
        return np.array(self.labels, dtype=np.int64)
