"""Dialogues as corpora hold them, and the views of them that predictors get: no gold, no forbidden context."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.schema.labels import LabelSet

Context = Literal["none", "past", "full"]
"""What a predictor may see around a target utterance: nothing, what was said before, or the whole dialogue."""


@dataclass(frozen=True, slots=True)
class UtteranceView:
    """One utterance without its gold label: what a predictor gets."""

    id: str
    """Unique within its split."""
    speakers: tuple[str, ...]
    """Names as released; EmoryNLP has utterances with several."""
    text: str
    """The transcript, Unicode as the reader decoded it."""

    @property
    def speaker(self) -> str:
        """The speaker's name; several are joined with ' & '."""
        return " & ".join(self.speakers)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance with its gold label."""

    id: str
    """Unique within its split."""
    speakers: tuple[str, ...]
    """Names as released; EmoryNLP has utterances with several."""
    text: str
    """The transcript, Unicode as the reader decoded it."""
    label: str | None
    """Gold label, a name of the dataset's label set; None: not annotated, kept as context only."""

    def view(self) -> UtteranceView:
        """Returns the utterance without gold."""
        return UtteranceView(self.id, self.speakers, self.text)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Utterances in the order they were spoken."""

    id: str
    """Unique within its split."""
    utterances: tuple[Utterance, ...]
    """In order of time."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Coarser units the dialogue belongs to, such as ('episode', 's08_e21'); constant over the dialogue."""

    def labelled(self) -> tuple[int, ...]:
        """Returns the positions of the annotated utterances: the targets of prediction."""
        return tuple(i for i, utterance in enumerate(self.utterances) if utterance.label is not None)

    def views(self, context: Context, label_set: LabelSet) -> Iterator[DialogueView]:
        """Yields what a predictor may see, so that every annotated utterance is a target exactly once, in order.

        With "full" that is one view of the whole dialogue; with "past" one view per target that ends with it; with
        "none" one view per target that holds it alone. Later utterances are not hidden in such a view: they are absent.
        """
        everything = tuple(utterance.view() for utterance in self.utterances)
        targets = self.labelled()
        if context == "full":
            if targets:
                yield DialogueView(self.id, everything, targets, label_set)
            return
        for i in targets:
            if context == "past":
                yield DialogueView(self.id, everything[: i + 1], (i,), label_set)
            else:
                yield DialogueView(self.id, everything[i : i + 1], (0,), label_set)


@dataclass(frozen=True, slots=True)
class DialogueView:
    """The part of a dialogue that a predictor may see, without gold."""

    dialogue_id: str
    """Id of the dialogue; several views share it unless the predictor sees full context."""
    utterances: tuple[UtteranceView, ...]
    """Visible utterances in order of time."""
    target_positions: tuple[int, ...]
    """Positions in `utterances` that ask for a prediction, ascending."""
    label_set: LabelSet
    """The labels to choose from."""

    @property
    def targets(self) -> tuple[UtteranceView, ...]:
        """The utterances that ask for a prediction, in order."""
        return tuple(self.utterances[i] for i in self.target_positions)
