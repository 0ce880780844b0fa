"""Why a published value does not compare with a result of ours: what the two protocols do not share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.literature.values import Literature, PublishedValue

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Setting:
    """How a result of ours came about, as far as it is compared."""

    dataset: str
    split: str
    n_labels: int
    n_utterances: int
    """Labelled ones."""
    metric: str
    selection: str
    """Split that chose the epoch; "none" where nothing chose one, "unknown" where the run does not tell."""
    reads: str
    """Encoder or base model; '' of a system with features of its own."""
    modalities: tuple[str, ...]
    n_seeds: int
    changed: str = ""
    """Parameters that differ from the defaults, as a row shows them, but for what it reads."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing in which a published value and a result of ours differ, or may differ."""

    kind: str
    """release, split, label set, split size, metric, epoch selection, features, modalities, seeds or settings."""
    published: str
    """`NOT_STATED` where nobody knows."""
    ours: str

    @property
    def text(self) -> str:
        """One line for a list."""
        return f"{self.kind}: {self.published}; here {self.ours}"


def find_data_mismatches(
    value: PublishedValue, dataset: str, split: str, n_labels: int, n_utterances: int, literature: Literature
) -> tuple[Mismatch, ...]:
    """Returns in what the data of a published value are not those of one of our splits."""
    same = literature.protocols[value.protocol].dataset == dataset
    return tuple(
        _differing(
            ("release", None if same else value.release, dataset, same),
            ("split", value.split, split, value.split == split),
            ("label set", _count(value.n_labels, "labels"), f"{n_labels} labels", value.n_labels == n_labels),
            ("split size", _count(value.n_utterances, "utterances"), f"{n_utterances:,} utterances",
             value.n_utterances == n_utterances),
        )
    )  # fmt: skip


def find_mismatches(value: PublishedValue, ours: Setting, literature: Literature) -> tuple[Mismatch, ...]:
    """Returns in what a published value differs from a result of ours; nothing means that they may be compared.

    What a paper does not state counts, since a difference in it would not be seen.
    """
    features = literature.features[value.features]
    data = find_data_mismatches(value, ours.dataset, ours.split, ours.n_labels, ours.n_utterances, literature)
    selection = None if value.selection == "unknown" else value.selection
    chosen = NOT_STATED if ours.selection == "unknown" else ours.selection
    return (
        *data,
        *_differing(
            ("metric", value.metric, ours.metric, value.metric == ours.metric),
            ("epoch selection", selection, chosen, selection == chosen),
            ("features", features.title, ours.reads or "its own",
             any(fnmatchcase(ours.reads, pattern) for pattern in features.ours)),
            ("modalities", "+".join(value.modalities), "+".join(ours.modalities) or "none",
             set(value.modalities) == set(ours.modalities)),
            ("seeds", None if value.seeds is None else str(value.seeds), str(ours.n_seeds),
             value.seeds == ours.n_seeds),
            ("settings", "as published", ours.changed, not ours.changed),
        ),
    )  # fmt: skip


def _differing(*facts: tuple[str, str | None, str, bool]) -> Iterator[Mismatch]:
    """Yields the facts (kind, published, ours, whether they agree) that do not agree."""
    for kind, published, ours, agree in facts:
        if not agree:
            yield Mismatch(kind, NOT_STATED if published is None else published, ours)


def _count(number: int | None, noun: str) -> str | None:
    return None if number is None else f"{number:,} {noun}"
