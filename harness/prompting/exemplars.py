"""Exemplars, solved examples that a prompt shows before its question, and the plan by which they are chosen.

`harness.prompting.selection` chooses them; this module is what templates and settings need to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from harness.errors import ConfigError
from harness.prompting.window import Scene

Selection = Literal["fixed", "random", "bm25", "embedding"]
"""Given ones or the first of the split; drawn by seed; or those whose text scores nearest to the target's."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An utterance of the training split and its answer."""

    utterance_id: str
    """Kept with the run, never shown."""
    scene: Scene
    label: str
    """As shown in the prompt."""


@dataclass(frozen=True, slots=True)
class ExemplarPlan:
    """Which exemplars a prompt shows. They stand in this order: fixed ones as given, or as in the split; random ones as
    drawn, labels mixed; nearest ones with the most similar last, next to the question.

    Raises:
        ConfigError: a number below zero, an unknown selection, or ids that do not go with the rest.
    """

    n: int = 0
    """Exemplars in all, or of each label; 0: none."""
    per_class: bool = False
    """Whether `n` counts exemplars of each label. DialogueLLM's "one-shot" is one per label."""
    selection: Selection = "fixed"
    utterance_ids: tuple[str, ...] = ()
    """Selection "fixed": these, `n` of them, instead of the first ones."""
    n_history: int = 0
    """Utterances shown before each exemplar; none in DialogueLLM."""

    def __post_init__(self) -> None:
        for name in ("n", "n_history"):
            if getattr(self, name) < 0:
                raise ConfigError(f"exemplars: {name}={getattr(self, name)!r}; expected 0 or more")
        if self.selection not in get_args(Selection):
            raise ConfigError(
                f"exemplars: selection={self.selection!r}; expected one of {list(get_args(Selection))} "
                "(balanced ones: 'random' with per_class)"
            )
        ids = self.utterance_ids
        if ids and (self.selection != "fixed" or self.per_class or self.n != len(ids) or len(set(ids)) != self.n):
            raise ConfigError(
                f"exemplars: utterance_ids={list(ids)!r}; expected n={len(set(ids))} different ids, selection 'fixed' "
                "and per_class off"
            )
