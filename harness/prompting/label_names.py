"""The names that stand for labels in prompts: the label set's own, or natural words, always mapped back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.errors import ConfigError
from harness.schema import LabelSet

Naming = Literal["canonical", "natural"]
"""The label set's own names, or words that a reader of English would use."""

NATURAL = {
    "ang": "anger",
    "angry": "anger",
    "dis": "disgust",
    "exc": "excitement",
    "excited": "excitement",
    "fea": "fear",
    "fru": "frustration",
    "frustrated": "frustration",
    "hap": "happiness",
    "happy": "happiness",
    "joyful": "joy",
    "mad": "anger",
    "neu": "neutral",
    "no emotion": "neutral",
    "no_emotion": "neutral",
    "sad": "sadness",
    "scared": "fear",
    "sur": "surprise",
}
"""Natural word by label name in lower case; a label that is not here is shown in lower case as it is."""


@dataclass(frozen=True, slots=True)
class LabelNames:
    """A label set and how its labels are written in prompts; one-to-one, so that every answer maps back.

    Raises:
        ConfigError: two labels would be shown alike, or a name is empty.
    """

    label_set: LabelSet
    shown: tuple[str, ...]
    """In the order of the label set."""

    def __post_init__(self) -> None:
        folded = [name.casefold().strip() for name in self.shown]
        if len(folded) != len(self.label_set) or len(set(folded)) != len(folded) or not all(folded):
            raise ConfigError(
                f"label names {list(self.shown)!r} for {list(self.label_set.labels)!r}: expected one name a label, "
                "all different; type: -P label_names=canonical"
            )

    def of(self, label: str) -> str:
        """Returns how a label is shown."""
        return self.shown[self.label_set.index(label)]


def name_labels(label_set: LabelSet, naming: Naming | Mapping[str, str]) -> LabelNames:
    """Returns the names of a label set for prompts.

    Args:
        label_set: the labels.
        naming: 'canonical', 'natural', or the name of every label by label.

    Raises:
        ConfigError: a mapping that leaves out a label or names an unknown one, or names that are not all different.
    """
    if naming == "canonical":
        return LabelNames(label_set, label_set.labels)
    if isinstance(naming, Mapping):
        if set(naming) != set(label_set.labels):
            raise ConfigError(
                f"label_names {dict(naming)!r}: expected a name for each of {list(label_set.labels)}, and no other"
            )
        return LabelNames(label_set, tuple(naming[label] for label in label_set.labels))
    words = (label.lower() for label in label_set.labels)
    return LabelNames(label_set, tuple(NATURAL.get(word, word) for word in words))
