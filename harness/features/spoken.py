"""A split without its labels: what encoders read, so that no gold of the split to predict can reach a predictor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.data import Split
from harness.schema import UtteranceView


@dataclass(frozen=True)
class SpokenSplit:
    """The utterances of a split, annotated or not, in order."""

    dataset: str
    name: str
    fingerprint: str
    """Of the split: equal fingerprints, equal features."""
    dialogues: tuple[tuple[str, tuple[UtteranceView, ...]], ...]
    """(id, utterances) of each dialogue."""

    @classmethod
    def of(cls, split: Split) -> SpokenSplit:
        """Returns a split without its labels."""
        dialogues = tuple((d.id, tuple(u.view() for u in d.utterances)) for d in split.dialogues)
        return cls(split.dataset, split.name, split.fingerprint, dialogues)

    def utterances(self) -> Iterator[UtteranceView]:
        """Yields every utterance in order."""
        for _, utterances in self.dialogues:
            yield from utterances

    @cached_property
    def by_id(self) -> dict[str, tuple[int, UtteranceView]]:
        """Row and utterance by utterance id; the row is the position in the split."""
        return {u.id: (row, u) for row, u in enumerate(self.utterances())}
