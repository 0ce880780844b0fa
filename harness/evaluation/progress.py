"""How far a run has come, as whoever waits for it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    phase: Literal["fit", "predict"]
    done: int
    """Dialogues predicted, or steps of learning taken."""
    total: int
    """Dialogues to predict, or steps to take; 0: unknown."""
    text: str = ""
    """How learning goes, in a few words."""


Report = Callable[[Progress], None]
