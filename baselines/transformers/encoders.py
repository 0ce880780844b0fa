"""The pretrained encoder that a system begins with: its name, place, revision, usual learning rate. Loads no torch."""

from typing import Any, Literal

from harness.features.pretrained import Pretrained
from harness.features.text import TextEncoder, minilm_folder
from harness.features.tuned import LARGE, SMALL
from harness.features.weights import Located, locate

MINILM = "minilm"
"""The encoder that installs with pip: all-MiniLM-L6-v2."""

Precision = Literal["fp32", "bf16"]
"""In which matrices are multiplied while a network learns; weights, sums and losses are float32 with both."""


def encoder_named(name: str) -> str:
    """Returns the name under which results tell of an encoder: name and content in the place of a path."""
    return name if name == MINILM else Pretrained.named(name)


def locate_encoder(name: str, *, download: bool) -> Located:
    """Returns where an encoder lies on this machine, or at the hub.

    Raises:
        ModelError, MissingDependencyError: nowhere.
    """
    if name == MINILM:
        return Located(str(minilm_folder()), None, MINILM)
    return locate(name, download=download)


def describe_encoder(where: Located) -> dict[str, Any]:
    """Returns what a manifest says of the weights that an encoder begins with."""
    content = {"content": TextEncoder().fingerprint} if where.name == MINILM else {}
    return {"name": where.name, "revision": where.commit, **content}


def usual_rate(name: str) -> float:
    """Returns the learning rate at its peak where none is given, which is that of tuned features."""
    return (SMALL if name == MINILM else LARGE).learning_rate
