"""What an utterance encoder is, the registry of encoders, and the names by which one is asked for."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.data import Split
from harness.errors import ConfigError
from harness.features.spoken import SpokenSplit
from harness.registry import Registry, origin_of
from harness.schema import UtteranceView

Kind = Literal["frozen", "tuned", "precomputed"]
"""Whether an encoder is as it was published, has learned from the training labels, or is a file of somebody's."""

Tell = Callable[[int, int, str], None]
"""Told how far encoding or learning has come: steps done, steps planned, in a few words."""

Layers = NDArray[np.float32]
"""float32 (n_utterances, n_layers, width); layer 0 is the last one of the encoder, called r1."""


def tell_nobody(done: int, total: int, text: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class EncoderName:
    """The name of an encoder as users write it: KIND[:ARGUMENT][@LAYERS].

    LAYERS is 'r1', the last layer and the default; 'r1-r2', that many last layers side by side; or 'mean', the mean of
    all layers that the encoder keeps.
    """

    encoder: str
    """Name in `ENCODERS`."""
    argument: str = ""
    """A folder, a file, or a name at the hub; '' if the encoder takes none."""
    layers: str = "r1"

    @classmethod
    def parse(cls, text: str) -> EncoderName:
        """Returns the parts of a name.

        Raises:
            UnknownNameError: no such encoder.
            ConfigError: it lacks its argument, or takes none.
        """
        found = re.fullmatch(r"(?P<name>[^:@]+)(:(?P<argument>.*?))?(@(?P<layers>r1|r1-r[2-9]|mean))?", text)
        if found is None:
            raise ConfigError(
                f"encoder {text!r}: expected NAME, NAME:ARGUMENT or NAME:ARGUMENT@LAYERS with LAYERS r1, r1-r2, ... or "
                "mean; type: erc-harness list encoders"
            )
        name, argument = found["name"], found["argument"] or ""
        takes = ENCODERS.get(name).argument
        if bool(takes) != bool(argument):
            wanted = f"{name}:{takes}" if takes else name
            raise ConfigError(f"encoder {text!r}: expected {wanted!r}; type: erc-harness list encoders")
        return cls(name, argument, found["layers"] or "r1")

    def with_argument(self, argument: str) -> str:
        """Returns the name as text, with another argument."""
        layers = "" if self.layers == "r1" else f"@{self.layers}"
        return f"{self.encoder}{':' if argument else ''}{argument}{layers}"


class Encoder(ABC):
    """Turns utterances into rows of floats. A class of its own for each kind, under `register_encoder`.

    Args:
        argument: what stands after the ':' of the name; '' if nothing does.
        seed: of the run; matters to encoders that learn.
        download: whether the hub may be asked for what is not on this machine.
    """

    learns: ClassVar[bool] = False
    """Whether `learn` must be called before anything is encoded."""

    def __init__(self, argument: str = "", seed: int = 0, download: bool = False) -> None:
        self.argument, self.seed, self.download = argument, seed, download

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Returns what its rows depend on beside the utterances, as JSON values: content, revision, recipe; no path."""

    @abstractmethod
    def encode(self, utterances: Sequence[UtteranceView], tell: Tell = tell_nobody) -> Layers:
        """Returns the rows of some utterances; none of them depends on the others.

        Raises:
            DataError: there are none, because the features were computed elsewhere.
        """

    def encode_split(self, split: SpokenSplit, tell: Tell = tell_nobody) -> Layers:
        """Returns the rows of a whole split, in order."""
        return self.encode(list(split.utterances()), tell)

    def learn(self, train: Split, dev: Split, folder: Path, tell: Tell = tell_nobody) -> Mapping[str, Any]:
        """Learns from single training utterances, or takes up what is in the folder; returns what came of it."""
        raise NotImplementedError

    @classmethod
    def named(cls, argument: str) -> str:
        """Returns an argument as results name it: content instead of a path."""
        return argument


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A registered encoder."""

    name: str
    kind: Kind
    argument: str
    """What it takes after ':', such as 'FILE'; '' for nothing."""
    summary: str
    build: type[Encoder]


ENCODERS: Registry[EncoderSpec] = Registry("encoder")

BUILTIN = {
    "minilm": "harness.features.pretrained:MiniLM",
    "minilm-layers": "harness.features.pretrained:MiniLMLayers",
    "minilm-tuned": "harness.features.tuned:TunedMiniLM",
    "hf": "harness.features.pretrained:Pretrained",
    "hf-tuned": "harness.features.tuned:TunedPretrained",
    "glove": "harness.features.glove:Glove",
    "file": "harness.features.precomputed:Precomputed",
}
"""Encoders of this distribution, imported on first use."""

E = TypeVar("E", bound=type[Encoder])


def register_encoder(name: str, *, kind: Kind, summary: str, argument: str = "") -> Callable[[E], E]:
    """Returns a class decorator that registers an encoder.

    Args:
        name: lower-case letters, digits, '.', '_', '-'; from outside this project 'lab/name'.
        kind: whether it is frozen, learns, or reads a file.
        summary: one sentence for lists.
        argument: what the user has to give after ':'; '' for nothing.

    Raises:
        ConfigError: the name is not allowed.
        DuplicateNameError: the name is taken.
    """

    def register(cls: E) -> E:
        target = f"{cls.__module__}:{cls.__qualname__}"
        spec = EncoderSpec(name, kind, argument, summary, cls)
        ENCODERS.add(name, spec, origin=origin_of(cls.__module__), target=target)
        return cls

    return register


for _name, _target in BUILTIN.items():
    ENCODERS.add_lazy(_name, _target, origin="erc-harness")
