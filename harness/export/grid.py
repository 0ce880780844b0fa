"""A table for people as raw text: what `latex`, `markdown` and `console` typeset, each in its own way.

Owns how a table is put together, and the sentences that several tables share. Escapes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.export.numbers import MISSING, half_width, percent
from harness.export.rows import Table, describe_tests
from harness.leaderboard.leaderboard import Average, Entry, Leaderboard

Align = Literal["name", "left", "centre", "right"]

MARKS = "Bold: highest score, ties included. Underlined: not separable from the best."
"""Formats without underlines write a dagger for it, and say so."""

LETTERS = "Predictors that share a letter are not separable."
COVERED = "Cover.: percent of utterances that got a usable label; the others count as wrong."
POWER = "MDE80: smallest true difference found with 80% power."


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell."""

    text: str = ""
    small: str = ""
    """Stands behind the text, or below it where the grid is stacked: an interval, or half its width."""
    raised: str = ""
    """Letters, or a dagger."""
    bold: bool = False
    top: bool = False
    """Not separable from the best."""


@dataclass(frozen=True, slots=True)
class Head:
    """Head of a column. Columns to the right or in the centre hold digits only; others may hold foreign text."""

    title: str
    align: Align = "right"
    group: str = ""
    """What stands above it and above its neighbours of the same group."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A whole table."""

    label: str
    """What documents refer to it by."""
    title: str
    heads: tuple[Head, ...]
    lines: tuple[tuple[Cell, ...], ...]
    """One cell a head."""
    caption: tuple[str, ...]
    """Whole sentences."""
    signature: str
    notes: tuple[tuple[str, str], ...] = ()
    """Dataset, and what a reader must know of it."""
    short_title: str = ""
    """For a list of tables; "": the title."""
    stacked: bool = False
    """Whether small text stands below the text."""


def score_cell(row: Entry | Average | None) -> Cell:
    """Returns a score with half its interval and its letters; a dash for a row that is not there."""
    if row is None:
        return Cell(MISSING)
    reach = half_width(row.score, row.low, row.high)
    return Cell(percent(row.score), f"±{reach}" if reach else "", row.letters, row.best, row.top)


def data_lines(tables: Sequence[Table]) -> tuple[str, ...]:
    """Returns what the numbers rest on, a line a dataset."""
    lines = [f"{table.header.dataset} {table.header.split}, {table.size}: {table.power}" for table in tables]
    return ("Data:", *(f"{line}{';' if line is not lines[-1] else '.'}" for line in lines))


def lines_on_tests(board: Leaderboard, tables: Sequence[Table]) -> tuple[str, ...]:
    """Returns how it was tested, and what the numbers rest on."""
    return (f"{describe_tests(board)}.", POWER, *data_lines(tables))


def notes_of(tables: Sequence[Table]) -> tuple[tuple[str, str], ...]:
    """Returns the warnings of some datasets."""
    return tuple((table.header.dataset, warning) for table in tables for warning in table.header.warnings)
