"""Exemplars: solved examples from the training split that a prompt shows before its question."""

from __future__ import annotations

from dataclasses import dataclass

from harness.prompting.window import Scene


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An utterance of the training split and its answer."""

    utterance_id: str
    """Kept with the run, never shown."""
    scene: Scene
    label: str
    """As shown in the prompt."""
