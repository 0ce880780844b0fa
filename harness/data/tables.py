"""CSV files to checked rows, and rows to dialogues. Knows no corpus."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.files import read_text
from harness.errors import DataError
from harness.schema import Dialogue, LabelSet, Utterance

_INTEGER = re.compile(r" *([0-9]{1,9}) *")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    path: Path
    line: int
    """Line of the file on which it starts, from 1."""
    cells: Mapping[str, str]
    """Cell by column name, as released."""

    def text(self, column: str) -> str:
        """Returns a cell; raises DataError if it is blank."""
        if not self.cells[column].strip():
            raise self.error(column, "the cell is blank; expected some text")
        return self.cells[column]

    def integer(self, column: str) -> int:
        """Returns a cell as a number; raises DataError if it is not made of digits."""
        number = _INTEGER.fullmatch(self.cells[column])
        if number is None:
            raise self.error(column, f"{self.cells[column]!r} is not a number; expected digits, such as 12")
        return int(number[1])

    def label(self, column: str, label_set: LabelSet) -> str:
        """Returns a cell that holds a label; raises DataError if the set does not have it."""
        if self.cells[column] not in label_set:
            raise self.error(column, f"unknown label {self.cells[column]!r}; expected one of {list(label_set.labels)}")
        return self.cells[column]

    def error(self, column: str, problem: str) -> DataError:
        """Returns the error to raise for a problem with a cell."""
        return DataError.at(self.path, problem, line=self.line, column=column)


def read_table(path: Path, columns: Sequence[str], *, cp1252: bool = False) -> Iterator[Row]:
    """Yields the rows of a CSV file that has exactly the given columns, in any order; blank lines are skipped.

    Args:
        path: the file.
        columns: column names of the release.
        cp1252: as for `harness.data.files.read_text`.

    Raises:
        DataError: unreadable, undecodable or empty file, other columns, a row of another length, a broken quotation.
    """
    reader = csv.reader(io.StringIO(read_text(path, cp1252=cp1252), newline=""), strict=True)
    header: list[str] = []
    line = n_rows = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            problem = f"broken CSV in the row that starts here: {error}; the file may be cut off or a quote missing"
            raise DataError.at(path, problem, line=line) from None
        if not cells:
            continue
        if not header:
            header = cells
            _check_header(path, header, columns, line)
            continue
        if len(cells) != len(header):
            problem = f"the row has {len(cells)} cells; expected {len(header)}, the file may be cut off"
            raise DataError.at(path, problem, line=line)
        n_rows += 1
        yield Row(path, line, dict(zip(header, cells, strict=True)))
    if n_rows == 0:
        raise DataError.at(path, "no row below the header; expected at least one utterance", line=line)


@dataclass(frozen=True, slots=True)
class Turn:
    """An utterance with its place in a dialogue, as one row gives it."""

    row: Row
    dialogue_id: str
    number: int
    """Its position by the corpus's own count, which may have gaps."""
    utterance: Utterance
    attributes: tuple[tuple[str, str], ...]
    """Of the dialogue; the first turn decides."""


def group_turns(turns: Iterable[Turn], column: str) -> list[Dialogue]:
    """Returns the dialogues in order of their first row, the utterances of each sorted by number.

    Args:
        turns: the turns of a split, in the order of the file.
        column: the column that holds the number, for the error.

    Raises:
        DataError: two turns of a dialogue have the same number.
    """
    dialogues: dict[str, dict[int, Turn]] = {}
    for turn in turns:
        numbered = dialogues.setdefault(turn.dialogue_id, {})
        if turn.number in numbered:
            first = numbered[turn.number].row.line
            problem = f"duplicate id {turn.utterance.id!r}, first on line {first}; expected unique ids in a dialogue"
            raise turn.row.error(column, problem)
        numbered[turn.number] = turn
    return [
        Dialogue(
            dialogue_id,
            tuple(numbered[number].utterance for number in sorted(numbered)),
            next(iter(numbered.values())).attributes,
        )
        for dialogue_id, numbered in dialogues.items()
    ]


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str], line: int) -> None:
    for column in columns:
        if header.count(column) != 1:
            problem = f"column {column!r} is {'there twice' if column in header else 'missing'}"
            raise DataError.at(path, f"{problem}; expected {','.join(columns)}", line=line, column=column)
    for column in header:
        if column not in columns:
            raise DataError.at(path, f"unknown column {column!r}; expected {','.join(columns)}", line=line)
