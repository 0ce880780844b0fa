"""A split of a dataset and its fingerprint: what runs must share to meet in one table."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from harness.data.text import canonical_text
from harness.errors import DataError
from harness.schema import Dialogue, LabelSet, Utterance

SplitName = Literal["train", "dev", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "dev", "test")


@dataclass(frozen=True)
class Split:
    """Dialogues in the order of the release, under one label set.

    Raises:
        DataError: no dialogue, a dialogue without utterances, a repeated id, a label outside the set, no label.
    """

    dataset: str
    """Name of the dataset."""
    name: SplitName
    dialogues: tuple[Dialogue, ...]
    label_set: LabelSet

    def __post_init__(self) -> None:
        where = f"{self.dataset}, split {self.name!r}"
        if not self.dialogues:
            raise DataError(f"{where}: no dialogue; expected at least one")
        for kind, ids in (
            ("dialogue", [d.id for d in self.dialogues]),
            ("utterance", [u.id for u in self.utterances()]),
        ):
            if len(set(ids)) < len(ids):
                repeated = next(i for i, n in Counter(ids).items() if n > 1)
                raise DataError(f"{where}: {kind} id {repeated!r} occurs twice; expected unique ids")
        for dialogue in self.dialogues:
            if not dialogue.utterances:
                raise DataError(f"{where}: dialogue {dialogue.id!r} has no utterance")
        for utterance in self.utterances():
            if utterance.label is not None and utterance.label not in self.label_set:
                raise DataError(
                    f"{where}: utterance {utterance.id!r} has label {utterance.label!r}; "
                    f"expected one of {list(self.label_set.labels)}"
                )
        if not any(d.labelled() for d in self.dialogues):
            raise DataError(f"{where}: no utterance has a label")

    def utterances(self) -> Iterator[Utterance]:
        """Yields every utterance, annotated or not, in order."""
        for dialogue in self.dialogues:
            yield from dialogue.utterances

    @cached_property
    def gold(self) -> dict[str, str]:
        """Gold label by utterance id, annotated utterances only, in order."""
        return {u.id: u.label for u in self.utterances() if u.label is not None}

    def label_counts(self) -> dict[str, int]:
        """Returns the number of annotated utterances per label, in the order of the label set, zeros included."""
        counts = Counter(self.gold.values())
        return {label: counts[label] for label in self.label_set.labels}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of the split in canonical form.

        The form is UTF-8 text, one JSON array a line, no spaces after separators, non-ASCII characters as they are,
        "\\n" after every line: ["erc-split",1,[labels],neutral]; then for each dialogue ["d",id] followed by
        ["u",id,[speakers],text,label] for each utterance, label null where there is none. Texts and speakers are in the
        canonical form of `harness.data.text`, so that copies of a release in another encoding agree.
        """
        digest = hashlib.sha256()

        def add(row: list[object]) -> None:
            digest.update(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

        add(["erc-split", 1, list(self.label_set.labels), self.label_set.neutral])
        for dialogue in self.dialogues:
            add(["d", dialogue.id])
            for u in dialogue.utterances:
                speakers = [canonical_text(name) for name in u.speakers]
                add(["u", u.id, speakers, canonical_text(u.text), u.label])
        return digest.hexdigest()
