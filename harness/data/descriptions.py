"""What videos show, in words: descriptions by split and utterance, in a file that is read here and grows here.

Each line of the file is one JSON object: {"split": "test", "utterance_id": "dia0_utt3", "description": "A cup falls."}.
The split may be left out on all lines where no utterance id is in two splits; in MELD many are. A key "described_by"
says who described, and from what.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.data.files import UniqueIds, parse_json, read_lines
from harness.data.split import SPLIT_NAMES
from harness.errors import ConfigError, DataError, StoreError

N_NAMED = 3
"""Ids that an error names at most."""

_BEGIN = b'{"split": "'
"""How a line of `DescriptionFile` begins."""


@dataclass(frozen=True)
class Descriptions:
    """The content of a file."""

    path: Path
    by_split: Mapping[str | None, Mapping[str, str]]
    """Description by split and utterance id, in the order of the file; under None alone where lines name no split."""
    described_by: tuple[str, ...] = ()
    """Who described, each named once."""

    def of(self, split: str | None) -> Mapping[str, str]:
        """Returns the descriptions of a split by utterance id; those of a file without splits are of any.

        Raises:
            ConfigError: the file names splits, and none is asked for.
        """
        if None in self.by_split:
            return self.by_split[None]
        if split is None:
            raise ConfigError(f"{self.path} describes splits one by one; say first which is predicted: expect(...)")
        return self.by_split.get(split, {})

    def texts(self) -> list[str]:
        """Returns every description."""
        return [text for described in self.by_split.values() for text in described.values()]

    def map(self, change: Callable[[str], str]) -> Descriptions:
        """Returns them with each text changed."""
        changed = {
            split: {utterance_id: change(text) for utterance_id, text in described.items()}
            for split, described in self.by_split.items()
        }
        return replace(self, by_split=changed)

    def check(self, utterance_ids: Mapping[str, Collection[str]]) -> None:
        """Checks that each one is of exactly one utterance.

        Args:
            utterance_ids: of the dataset, by split.

        Raises:
            DataError: an id that the dataset does not have there, or that several splits have and no line tells apart.
        """
        for split, described in self.by_split.items():
            homes = [split] if split is not None else list(utterance_ids)
            n_homes = {i: sum(i in utterance_ids.get(home, ()) for home in homes) for i in described}
            unknown = [i for i, n in n_homes.items() if n == 0]
            if unknown:
                where = "any split" if split is None else f"split {split!r}"
                some = next((i for home in homes for i in sorted(utterance_ids.get(home, ()))), "none")
                problem = f"not an utterance of {where} of the dataset: {_name(unknown)}; expected ids like {some!r}"
                raise DataError.at(self.path, problem)
            shared = [i for i, n in n_homes.items() if n > 1]
            if shared:
                problem = f'in several splits of the dataset: {_name(shared)}; add "split" to each line'
                raise DataError.at(self.path, problem)


def read_descriptions(path: Path) -> Descriptions:
    """Returns the descriptions of a file.

    Raises:
        DataError: the file cannot be read or has none, a line is no such object, an id occurs twice in a split, or only
            some lines name a split.
    """
    content = _collect(path, read_lines(path))
    if not content.by_split:
        raise DataError.at(path, "the file is empty; expected one description a line")
    return content


def _collect(path: Path, lines: Iterable[tuple[int, str]]) -> Descriptions:
    """Returns the descriptions on numbered lines; raises as `read_descriptions`, but for none."""
    ids: defaultdict[str | None, UniqueIds] = defaultdict(lambda: UniqueIds("utterance"))
    by_split: defaultdict[str | None, dict[str, str]] = defaultdict(dict)
    described_by: dict[str, None] = {}
    for line, text in lines:
        value = parse_json(text, path, line)
        fields = value.fields(("utterance_id", "description"), ("split", "described_by"))
        split = fields["split"].text() if "split" in fields else None
        if split not in (None, *SPLIT_NAMES):
            raise fields["split"].error(f"unknown split {split!r}; expected one of {list(SPLIT_NAMES)}")
        if by_split and (split is None) != (None in by_split):
            raise value.error("some lines name a split and some do not; expected one on every line, or on none")
        utterance_id = ids[split].claim(fields["utterance_id"].text(), fields["utterance_id"])
        by_split[split][utterance_id] = fields["description"].text()
        if "described_by" in fields:
            described_by[fields["described_by"].text()] = None
    return Descriptions(path, dict(by_split), tuple(described_by))


class DescriptionFile:
    """A file that grows by one line a description, each on the disk before the call returns; a context manager.

    A process that is killed while it writes leaves half a line: it is cut off when the file is opened again.
    """

    def __init__(self, path: Path, described_by: str) -> None:
        """Opens or begins a file.

        Args:
            path: where it is.
            described_by: who describes, and from what; a file never mixes two of them.

        Raises:
            ConfigError: the file was made by another one.
            DataError: it holds something else.
            StoreError: it cannot be written, or another process is writing it.
        """
        self.path, self._described_by = path, described_by
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise self._unwritable(error) from error
        self.described: dict[str, dict[str, str]] = defaultdict(dict)
        """Description by split and utterance id, of this session and all before."""
        try:
            self._take_up()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, split: str, utterance_id: str, description: str) -> None:
        """Appends a description; raises StoreError if the disk does not take it."""
        line = {
            "split": split,
            "utterance_id": utterance_id,
            "description": description,
            "described_by": self._described_by,
        }
        try:
            self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error
        self.described[split][utterance_id] = description

    def _take_up(self) -> None:
        """Takes in what earlier sessions have written."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another process is writing {self.path}; wait for it, or stop it and repeat") from None
        self._file.seek(0)
        found = self._file.read()
        n_whole = found.rfind(b"\n") + 1
        lines = enumerate(found[:n_whole].decode(errors="replace").split("\n"), 1)
        content = _collect(self.path, ((number, text) for number, text in lines if text.strip()))
        if content.by_split and content.described_by != (self._described_by,):
            before = " and ".join(map(repr, content.described_by)) or "somebody else"
            raise ConfigError(
                f"{self.path} was described by {before}, not by {self._described_by!r}; give another file with -o"
            )
        if not found[n_whole:].startswith(_BEGIN[: len(found) - n_whole]):  # cut off only what was begun here
            raise DataError.at(self.path, "the last line is no description; give another file with -o")
        self._file.truncate(n_whole)
        self.described |= {str(split): dict(texts) for split, texts in content.by_split.items()}

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {self.path}: {error.strerror or error}; give another file with -o")


def _name(ids: Collection[str]) -> str:
    """Returns the first ids, and how many there are."""
    named = ", ".join(map(repr, list(ids)[:N_NAMED]))
    return named if len(ids) <= N_NAMED else f"{named} and {len(ids) - N_NAMED} more"
