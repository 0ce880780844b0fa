"""What a slice is: a way to sort the annotated utterances of a split by something that may make them hard.

Owns the registry and what a slice may look at. Must not know any system or score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from harness.data import Split
from harness.errors import ConfigError
from harness.registry import Registry, origin_of
from harness.schema import Dialogue

Need = Literal["train", "others", "videos"]
"""What a slice may need beside the split itself: a field of `Sources`."""

REMEDIES: Mapping[Need, str] = {
    "train": "the corpus has no train split",
    "others": "add --other DATASET",
    "videos": "add --video FILE",
}
"""What to say where it is not there."""


@dataclass(frozen=True)
class Sources:
    """What slices look at."""

    split: Split
    """What was predicted, with gold."""
    train: Split | None = None
    """The training split of the same corpus."""
    others: tuple[Split, ...] | None = None
    """Every split of other corpora."""
    videos: Mapping[str, str] | None = None
    """Descriptions of the split's videos by utterance id; utterances without one are absent."""

    def targets(self) -> Iterator[tuple[Dialogue, int]]:
        """Yields dialogue and position in it of every annotated utterance, in the order of the split."""
        for dialogue in self.split.dialogues:
            for position in dialogue.labelled():
                yield dialogue, position


Sort = Callable[[Sources], Iterable[str | None]]
"""Gives a value for each annotated utterance, in the order of `Sources.targets`; None for those that have none."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A registered slice."""

    name: str
    meaning: str
    """One line for lists and legends: by what utterances are sorted."""
    sort: Sort
    values: tuple[str, ...]
    """Every value it can give, in the order of tables; () if the data decide: the most frequent one first."""
    needs: tuple[Need, ...]
    """What must be at hand beside the split."""

    def missing(self, sources: Sources) -> str:
        """Returns what to do about something that it needs and that is not at hand; "" if all is."""
        return "; ".join(REMEDIES[need] for need in self.needs if getattr(sources, need) is None)

    def divide(self, sources: Sources) -> dict[str, tuple[int, ...]]:
        """Returns the indices of the annotated utterances that have each value, in the order of tables.

        Values that no utterance has are left out, and so are utterances without a value.

        Raises:
            ConfigError: it needs something else, gives another number of values than there are annotated utterances,
                or a value that it did not declare.
        """
        if self.missing(sources):
            raise ConfigError(f"slice {self.name!r} needs more than the split: {self.missing(sources)}")
        given = list(self.sort(sources))
        if len(given) != len(sources.split.gold):
            raise ConfigError(
                f"slice {self.name!r} gives {len(given)} values; expected one for each of the "
                f"{len(sources.split.gold)} annotated utterances, as Sources.targets() yields them"
            )
        counts = Counter(value for value in given if value is not None)
        unknown = [value for value in counts if self.values and value not in self.values]
        if unknown:
            raise ConfigError(f"slice {self.name!r} gives {unknown[0]!r}; it declares {', '.join(self.values)}")
        order = self.values or tuple(value for value, _ in counts.most_common())
        return {value: tuple(i for i, own in enumerate(given) if own == value) for value in order if counts[value]}


SLICES: Registry[Slice] = Registry("slice")

S = TypeVar("S", bound=Sort)


def register_slice(
    name: str, *, meaning: str, values: Sequence[str] = (), needs: Sequence[Need] = ()
) -> Callable[[S], S]:
    """Returns a decorator that registers a function from `Sources` to a value for each annotated utterance.

    Args:
        name: lower-case letters, digits, '.', '_', '-'; from outside this project 'lab/name'.
        meaning: one line: by what utterances are sorted.
        values: all that the function can give, in the order of tables; left out, the data decide.
        needs: "train", "others" or "videos": what must be at hand beside the split.

    Raises:
        ConfigError: the name is not allowed, or there is no such need.
        DuplicateNameError: the name is taken.
    """
    for need in needs:
        if need not in REMEDIES:
            raise ConfigError(f"slice {name!r} needs {need!r}; allowed: {', '.join(REMEDIES)}")

    def register(sort: S) -> S:
        target = f"{sort.__module__}:{getattr(sort, '__qualname__', name)}"
        spec = Slice(name, meaning, sort, tuple(values), tuple(needs))
        SLICES.add(name, spec, origin=origin_of(sort.__module__), target=target)
        return sort

    return register
