"""Instructions of several splits together: what goes in, how much it is, and what it holds of a test split.

A single instruction is the business of `harness.prompting.instructions`. Knows no model, writes no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.data import Dataset, Split
from harness.data.descriptions import Descriptions
from harness.data.overlap import Overlap, drop_shared_dialogues, find_overlap
from harness.prompting.instructions import build_instructions
from harness.prompting.label_names import LabelNames, Naming, name_labels
from harness.prompting.templates import Template
from harness.prompting.window import Window

PUBLISHED: Mapping[str, int] = {"abstract": 13_638, "body": 24_304}
"""Size of DialogueLLM's instruction data. Source: arXiv 2310.11374v4, abstract and text."""

PUBLISHED_PARTS: Mapping[str, int] = {
    "MELD train": 9_989,
    "IEMOCAP train and dev": 5_810,
    "EmoryNLP train": 7_551,
    "EmoryNLP dev": 954,
}
"""Entries of Table 1 there that add up to the number of the text, as we found: the paper does not say how it counts."""


@dataclass
class InstructionPart:
    """A split to learn from, and what its instructions amount to once `records` has been read to its end."""

    whole: Split
    """As released."""
    split: Split
    """What is learned from: the whole, or what decontamination leaves of it."""
    names: LabelNames
    videos: Mapping[str, str] = field(default_factory=dict)
    """Descriptions by utterance id."""
    n_with_context: int = 0
    n_with_video: int = 0
    n_characters: int = 0
    """Of all questions and their answers."""
    max_characters: int = 0
    """Of the longest."""

    def records(self, window: Window, template: Template) -> Iterator[dict[str, Any]]:
        """Yields a record per labelled utterance, and counts it; raises as `build_instructions` and `render`."""
        for instruction in build_instructions(self.split, self.names, window, self.videos):
            record = instruction.record(template)
            n_characters = len(record["prompt"]) + len(record["output"])
            self.n_with_context += bool(record["context"])
            self.n_with_video += record["video"] is not None
            self.n_characters += n_characters
            self.max_characters = max(self.max_characters, n_characters)
            yield record


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """Splits to learn from together, and splits to stay unseen."""

    parts: tuple[InstructionPart, ...]
    unseen: tuple[Split, ...]
    """Dev and test splits of all corpora concerned, but those that are learned from."""

    @property
    def learned(self) -> tuple[Split, ...]:
        """What is learned from."""
        return tuple(part.split for part in self.parts)

    def records(self, window: Window, template: Template) -> Iterator[dict[str, Any]]:
        """Yields a record per labelled utterance, part by part; raises as `InstructionPart.records`."""
        for part in self.parts:
            yield from part.records(window, template)

    def find_overlaps(self) -> list[Overlap]:
        """Returns what of each test split is in each corpus learned from, and in all together if there are several."""
        corpora = dict.fromkeys(split.dataset for split in self.learned)
        pools = [[split for split in self.learned if split.dataset == corpus] for corpus in corpora]
        if len(pools) > 1:
            pools.append(list(self.learned))
        return [find_overlap([test], pool) for test in self.unseen if test.name == "test" for pool in pools]


def choose_instructions(
    datasets: Sequence[Dataset],
    splits: Iterable[str],
    naming: Naming,
    *,
    tested: Sequence[Dataset] = (),
    decontaminate: bool = False,
    videos: Descriptions | None = None,
) -> InstructionSet:
    """Returns the given splits of corpora to learn from, each with the labels of its own corpus.

    Args:
        datasets: corpora to learn from, no two of one name.
        splits: names of the splits of each.
        naming: how labels are written.
        tested: more corpora whose dev and test splits are to stay unseen.
        decontaminate: whether dialogues that share an utterance of 5 words or more with an unseen split are left out.
        videos: descriptions of the first corpus.

    Raises:
        ConfigError: two labels of a corpus would be written alike.
        DataError: decontamination leaves nothing of a split, or a description is of no utterance of the first corpus.
        UnknownNameError: a corpus has no such split, or one of `tested` has no test split.
    """
    wholes = [dataset.split(name) for dataset in datasets for name in dict.fromkeys(splits)]
    for dataset in tested:
        dataset.split("test")
    unseen = [split for dataset in (*datasets, *tested) for split in dataset.splits.values() if split.name != "train"]
    unseen = [split for split in unseen if split not in wholes]
    names = {dataset.name: name_labels(dataset.card.label_set, naming) for dataset in datasets}
    if videos is not None:
        videos.check(datasets[0].utterance_ids)
    parts = [
        InstructionPart(
            whole,
            drop_shared_dialogues(whole, unseen) if decontaminate else whole,
            names[whole.dataset],
            videos.of(whole.name) if videos is not None and whole.dataset == datasets[0].name else {},
        )
        for whole in wholes
    ]
    return InstructionSet(tuple(parts), tuple(unseen))


def count_instructions(parts: Sequence[InstructionPart]) -> dict[str, float]:
    """Returns what parts amount to together.

    Returns:
        n_dialogues, n_labelled (one instruction each), n_with_context, n_with_video; mean_characters and max_characters
        of a question with its answer; n_dialogues_left_out and n_labelled_left_out by decontamination.
    """
    n_dialogues = sum(len(part.split.dialogues) for part in parts)
    n_labelled = sum(len(part.split.gold) for part in parts)
    return {
        "n_dialogues": n_dialogues,
        "n_labelled": n_labelled,
        "n_with_context": sum(part.n_with_context for part in parts),
        "n_with_video": sum(part.n_with_video for part in parts),
        "mean_characters": sum(part.n_characters for part in parts) / n_labelled,
        "max_characters": max(part.max_characters for part in parts),
        "n_dialogues_left_out": sum(len(part.whole.dialogues) for part in parts) - n_dialogues,
        "n_labelled_left_out": sum(len(part.whole.gold) for part in parts) - n_labelled,
    }
