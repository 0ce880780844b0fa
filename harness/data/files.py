"""Corpus files to text and checked values; whatever is wrong with them becomes a DataError with its place.

Knows encodings, JSON and TOML; knows no corpus.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bounded import MAX_DOCUMENT, MAX_SETTINGS, open_regular, parse_toml, read_bounded
from harness.bounded import parse_json as parse_text
from harness.errors import DataError

MAX_LINE = 16 << 20
"""Bytes of a line; the longest dialogue of a corpus in use has under 100 kB."""

_CP1252 = {code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in b"\x81\x8d\x8f\x90\x9d"}
"""Control characters that a cp1252 file turns into when read as Latin-1, to what they stood for."""


def read_text(path: Path, *, cp1252: bool = False, max_bytes: int = MAX_DOCUMENT) -> str:
    """Returns the text of a UTF-8 file, without a byte order mark.

    Args:
        path: the file.
        cp1252: accept lines in cp1252 too, and undo the traces of a copy that took cp1252 for Latin-1.
        max_bytes: a larger file is refused.

    Raises:
        DataError: the file cannot be read or decoded, is too large, or holds nothing.
    """
    try:
        raw = read_bounded(path, max_bytes).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not raw.strip():
        raise DataError.at(path, "the file is empty; expected data")
    if not cp1252:
        return _decode(raw, path, 1)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\n".join(_decode(line, path, number, "cp1252") for number, line in enumerate(raw.split(b"\n"), 1))
    return text.translate(_CP1252)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a UTF-8 file that are not blank, with their numbers, reading no further than asked.

    Raises:
        DataError: the file cannot be read or decoded, or has a line that is too long.
    """
    try:
        with open_regular(path) as file:
            for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
                if len(raw) > MAX_LINE:
                    raise DataError.at(path, f"more than {MAX_LINE} bytes; expected a line break before", line=number)
                line = _decode(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, path, number)
                if line.strip():
                    yield number, line
    except OSError as error:
        raise _unreadable(path, error) from None


@dataclass(frozen=True, slots=True)
class Value:
    """A value inside a JSON or TOML document that knows where it stands."""

    content: Any
    path: Path
    where: str = ""
    """Its place in the document, such as 'scenes[2].emotion'; '' for the whole."""
    line: int | None = None

    def fields(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Value]:
        """Returns the fields of an object that has all required keys and no unknown one.

        Raises:
            DataError: it is no such object.
        """
        fields = self.mapping()
        for key in required:
            if key not in fields:
                raise self.error(f"key {key!r} is missing; expected the keys {', '.join(required)}")
        for key in fields:
            if key not in required and key not in optional:
                raise self.error(f"unknown key {key!r}; expected only {', '.join((*required, *optional))}")
        return fields

    def mapping(self) -> dict[str, Value]:
        """Returns the fields of an object, whatever their keys; raises DataError for anything else."""
        content = self._of(dict, "an object")
        keys = [self._inside("", key).text(blank=True) for key in content]
        return {key: self._inside(f".{key}" if self.where else key, content[key]) for key in keys}

    def field(self, key: str) -> Value:
        """Returns one field of an object that may have others; raises DataError where it is missing."""
        fields = self.mapping()
        if key not in fields:
            raise self.error(f"key {key!r} is missing")
        return fields[key]

    def items(self) -> list[Value]:
        """Returns the items of a list; raises DataError for anything else and for an empty one."""
        content = self._of(list, "a list")
        if not content:
            raise self.error("the list is empty; expected at least one item")
        return [self._inside(f"[{i}]", item) for i, item in enumerate(content)]

    def text(self, *, blank: bool = False) -> str:
        """Returns a string; raises DataError for anything else, and for a blank one unless `blank` allows it."""
        content: str = self._of(str, "a string")
        if not blank and not content.strip():
            raise self.error(f"{content!r} is blank; expected some text")
        try:
            content.encode()
        except UnicodeEncodeError:
            raise self.error(f"{content!r} holds half of a surrogate pair; expected whole characters") from None
        return content

    def flag(self) -> bool:
        """Returns a truth value; raises DataError for anything else."""
        content: bool = self._of(bool, "true or false")
        return content

    def whole(self) -> int:
        """Returns a whole number; raises DataError for anything else."""
        content: int = self._of(int, "a whole number")
        if isinstance(content, bool):
            raise self.error(f"found {content}; expected a whole number")
        return content

    def choice(self, allowed: Sequence[str]) -> str:
        """Returns the one of the allowed labels that a string equals; raises DataError for anything else."""
        content = self.text()
        if content not in allowed:
            raise self.error(f"unknown label {content!r}; expected one of {list(allowed)}")
        return allowed[allowed.index(content)]  # not a copy of it for every utterance

    def error(self, problem: str) -> DataError:
        """Returns the error to raise for a problem at this place."""
        return DataError.at(self.path, problem, line=self.line, column=self.where or None)

    def _of(self, kind: type, name: str) -> Any:
        if not isinstance(self.content, kind):
            deep = isinstance(self.content, dict | list)  # its repr could be as deep
            raise self.error(f"found {type(self.content).__name__ if deep else repr(self.content)}; expected {name}")
        return self.content

    def _inside(self, step: str, content: object) -> Value:
        return Value(content, self.path, self.where + step, self.line)


class UniqueIds:
    """The ids of one kind, such as "utterance", that a file has had so far."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.places: dict[str, int | str] = {}
        """Where each id was first: a line, or a place in a document of one piece."""

    def claim(self, name: str, value: Value) -> str:
        """Returns an id that is new; raises DataError, at the given value, for one that is not."""
        if name in self.places:
            first = self.places[name]
            place = f"on line {first}" if isinstance(first, int) else f"at {first!r}"
            raise value.error(f"duplicate {self.kind} id {name!r}, first {place}; expected unique ids")
        self.places[name] = value.where if value.line is None else value.line
        return name


def parse_json(text: str, path: Path, line: int | None = None) -> Value:
    """Returns the value of a JSON document.

    Args:
        text: the document.
        path: the file it is from.
        line: its line, where every line is a document of its own.

    Raises:
        DataError: the document is broken, cut off or nested too deeply.
    """
    return Value(_parse("JSON", parse_text, text, path, line), path, line=line)


def read_toml(path: Path) -> Value:
    """Returns the value of a TOML file.

    Raises:
        DataError: the file cannot be read or is broken.
    """
    return Value(_parse("TOML", parse_toml, read_text(path, max_bytes=MAX_SETTINGS), path, None), path)


def _parse(kind: str, parse: Callable[[str], object], text: str, path: Path, line: int | None) -> object:
    try:
        return parse(text)
    except json.JSONDecodeError as error:
        problem = f"broken {kind} at character {error.colno}: {error.msg}; expected one whole value, not cut off"
        raise DataError.at(path, problem, line=line or error.lineno) from None
    except ValueError as error:
        raise DataError.at(path, f"broken {kind}: {error}", line=line) from None


def _decode(raw: bytes, path: Path, first_line: int, *others: str) -> str:
    """Returns bytes as text in the first of UTF-8 and other encodings that fits."""
    for encoding in ("utf-8", *others):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            start = error.start
    names = " or ".join(("UTF-8", *others))
    raise DataError.at(
        path,
        f"byte 0x{raw[start]:02x} is not {names}; expected a text file in {names}, save it as UTF-8",
        line=first_line + raw.count(b"\n", 0, start),
    )


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError.at(path, f"cannot be read: {error.strerror or error}")
