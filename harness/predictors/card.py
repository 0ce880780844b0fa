"""What a predictor declares of itself; the board prints it and the runner holds it to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.schema.dialogue import Context

Modality = Literal["text", "audio", "visual"]


@dataclass(frozen=True, slots=True)
class PredictorCard:
    """The declaration of a predictor."""

    family: str
    """Kind of system, such as 'simple', 'recurrent', 'graph', 'transformer', 'llm'."""
    context: Context = "none"
    """What it may see around a target: 'none', 'past' or 'full'. Views hold nothing more."""
    modalities: tuple[Modality, ...] = ("text",)
    """What it reads."""
    trained_on: tuple[str, ...] = ()
    """Splits whose labels it learns from: () or ('train',). 'dev' means dev labels are training data too."""
    deterministic: bool = False
    """True if every seed gives the same predictions; it is then run once."""
    features: tuple[str, ...] = ()
    """Features that it reads, each as 'text: minilm, frozen': tuned ones have learned from the training labels."""
    source: str = ""
    """Paper or page that describes it."""
    summary: str = ""
    """One sentence for lists."""
