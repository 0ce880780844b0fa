"""The block of published values as it is printed: shaded, below the tables, in the order of the papers, never by score.

Text stays raw here, as in `rows`. A cell carries marks: numbers of the notes below, and "?" where it is not verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.export import numbers
from harness.leaderboard.leaderboard import Leaderboard, PublishedEntry
from harness.metrics import metric_title

TITLE = "Published values, not run here"
ABOUT = "No predictions exist behind them: they are neither ranked nor tested, and stand in the order of their papers."
UNVERIFIED = "?"
"""Marks a value that was seen in no primary source."""

BLOCK_LEGEND = (
    "Seeds and Chosen on (the split that chose the epoch, none if untrained): – where the source does not say. "
    "By: own, the system's authors; re-run, others; copied, from the authors."
)
NOTES_HEAD = "Where the data are not this board's, and what is known to be wrong:"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with the marks behind it."""

    text: str
    marks: tuple[str, ...] = ()
    value: float | None = None
    """What the text prints, to sort by; None of a name, and where nothing is printed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One published system; its name and source are raw."""

    name: Cell
    scores: tuple[Cell, ...]
    """One for each of `Block.columns`."""
    facts: tuple[str, ...]
    """Seeds, split that chose the epoch, by whom, source: one for each of `FACTS`."""


FACTS = ("Seeds", "Chosen on", "By", "Source")
"""Heads of the columns behind the scores."""


@dataclass(frozen=True, slots=True)
class Block:
    """All published values of a board."""

    columns: tuple[tuple[str, str], ...]
    """Dataset and metric head of each column of scores, raw."""
    lines: tuple[Line, ...]
    notes: tuple[tuple[str, str], ...]
    """Each mark with what it means, raw."""
    slips: tuple[str, ...]
    """What the papers' tables contradict in themselves, raw."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads of the columns of scores on one line: the dataset is named where there are several."""
        several = len({dataset for dataset, _ in self.columns}) > 1
        return tuple(f"{dataset} {metric} %" if several else f"{metric} %" for dataset, metric in self.columns)


class _Marks:
    """Numbers for notes, in the order in which they are first needed; letters would look like those of tests."""

    def __init__(self) -> None:
        self.by_text: dict[str, str] = {}

    def of(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.by_text.setdefault(text, str(len(self.by_text) + 1)) for text in texts)

    def notes(self) -> tuple[tuple[str, str], ...]:
        return tuple((mark, text) for text, mark in self.by_text.items())


def make_block(board: Leaderboard) -> Block | None:
    """Returns the published values of a board; None if it shows none."""
    if not board.published:
        return None
    columns = [
        (header.dataset, metric)
        for header in board.datasets
        for metric in board.metrics
        if any(entry.dataset == header.dataset and metric in entry.metrics for entry in board.published)
    ]
    rows: dict[tuple[str, str, str], dict[str, PublishedEntry]] = {}
    for entry in board.published:
        rows.setdefault((entry.table, entry.system, entry.variant), {})[entry.dataset] = entry
    marks = _Marks()
    lines = tuple(_line(by_dataset, columns, marks) for by_dataset in rows.values())
    unverified = any(not entry.verified for entry in board.published)
    return Block(
        columns=tuple((dataset, metric_title(metric)) for dataset, metric in columns),
        lines=lines,
        notes=(*([(UNVERIFIED, "not verified against a primary source")] if unverified else []), *marks.notes()),
        slips=board.published_slips,
    )


def _line(by_dataset: Mapping[str, PublishedEntry], columns: Sequence[tuple[str, str]], marks: _Marks) -> Line:
    first = next(iter(by_dataset.values()))
    name = Cell(f"{first.name} ({first.variant})" if first.variant else first.name, marks.of(first.problems))
    return Line(
        name=name,
        scores=tuple(_score(by_dataset.get(dataset), metric, marks) for dataset, metric in columns),
        facts=(
            numbers.MISSING if first.n_seeds is None else str(first.n_seeds),
            numbers.MISSING if first.selection == "unknown" else first.selection,
            first.provenance,
            first.cited,
        ),
    )


def _score(entry: PublishedEntry | None, metric: str, marks: _Marks) -> Cell:
    if entry is None or metric not in entry.metrics:
        return Cell(numbers.MISSING)
    unverified = () if entry.verified else (UNVERIFIED,)
    value = entry.metrics[metric]
    return Cell(numbers.metric(metric, value), (*unverified, *marks.of(entry.differs)), value)


def marked(cell: Cell) -> str:
    """Returns a cell for formats without superscripts: "62.41 [?, 2]"."""
    return f"{cell.text} [{', '.join(cell.marks)}]" if cell.marks else cell.text
