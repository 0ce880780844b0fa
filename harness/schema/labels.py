"""The label set of a dataset: names in a fixed order. Ids exist only inside arrays; files carry names."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ConfigError, UnknownNameError


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The emotion labels of a dataset, in the order of their ids 0, 1, 2, ...

    Raises:
        ConfigError: fewer than two labels, a repeated or empty one, or a neutral label outside the set.
    """

    labels: tuple[str, ...]
    """Label names; position is id."""
    neutral: str | None = None
    """The label that stands for no emotion, left out of `micro_f1_no_neutral`; None if there is none."""

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels) or not all(self.labels):
            raise ConfigError(f"labels {list(self.labels)!r}: expected at least two different, non-empty names")
        if self.neutral is not None and self.neutral not in self.labels:
            raise ConfigError(f"neutral {self.neutral!r} is not one of the labels {list(self.labels)!r}")

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self.labels

    def index(self, label: str) -> int:
        """Returns the id of a label.

        Raises:
            UnknownNameError: the label is not in the set.
        """
        try:
            return self.labels.index(label)
        except ValueError:
            raise UnknownNameError.of("label", label, self.labels) from None
