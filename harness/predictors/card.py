"""What a predictor declares of itself; the board prints it and the runner holds it to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.schema.dialogue import Context

Modality = Literal["text", "audio", "visual"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run, or a shard of one, takes of a machine of a cluster unless the user says otherwise."""

    cpus: float = 1
    gpus: float = 0
    """A share below 1: several runs on one GPU."""
    memory: float = 0
    """GiB; 0: none is set aside."""

    def __str__(self) -> str:
        parts = (f"{self.cpus:g} CPU", f"{self.gpus:g} GPU", f"{self.memory:g} GiB")
        return ", ".join(part for part in parts if not part.startswith("0 "))


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
    takes: Resources = Resources()
    """For the executor of a cluster; no result depends on it, and no manifest tells it."""
    source: str = ""
    """Paper or page that describes it."""
    summary: str = ""
    """One sentence for lists."""
