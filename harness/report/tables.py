"""The tables of the page as cells with printed text and a value to sort by. Text stays raw: the template escapes it.

Every number is printed here, by `harness.export`, so that the page shows the digits of the other exports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.export import numbers
from harness.export.escape import one_line
from harness.export.rows import Row, Table, other_titles
from harness.leaderboard.leaderboard import Entry, Leaderboard
from harness.report.systems import PER_CALLS, SystemFacts

HEATS = 10
"""Shades of a heat map."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A score with its interval on the common scale of a table, in percent of its width."""

    low: float
    score: float
    high: float
    best: float
    """Where the highest score lies."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; "" prints nothing."""

    text: str
    sort: float | str | None = None
    """What the column is sorted by; None: last in either direction."""
    heat: int | None = None
    """Shade, 0 to HEATS - 1; None: no shade."""
    strong: bool = False
    badges: tuple[str, ...] = ()
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """Head of a column."""

    title: str
    numeric: bool = True
    """Numbers stand to the right, and are sorted from the highest at first."""
    note: str = ""
    """What the column says, in a sentence."""
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Grid:
    """A table for the template; the first cell of a line names its system."""

    name: str
    """For the caption and for scripts."""
    columns: tuple[Column, ...]
    lines: tuple[tuple[Cell, ...], ...]
    """In the order of the board."""


def ranking(board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Grid:
    """Returns the main table of one dataset."""
    level = numbers.level(board.alpha)
    columns = [
        Column("System", numeric=False, note="Its badges: family, what it sees of the dialogue, what it reads."),
        Column("Rank", note="The places that the tests leave open."),
        Column(table.metric_title, note="Percent, mean over seeds."),
        Column(f"{level} interval", sortable=False),
        Column("Letters", numeric=False, note="Systems that share a letter cannot be told apart."),
        Column("Δ top", note="Points to the best tested system."),
        Column("p adj", note="p-value of that difference, corrected over all pairs."),
        Column("Seeds", note="Runs behind the row."),
        Column("Coverage", note="Percent of utterances with a usable label; the others count as wrong."),
        *(Column(one_line(title), note="Percent, mean over seeds; not tested.") for title in other_titles(board)),
        Column("Parameters", note="Of the network or the language model; frozen encoders of features not counted."),
        Column("Time", note="To predict an utterance, on the machine of the run."),
        Column("Cost", note=f"US dollars for {PER_CALLS:,} utterances."),
    ]
    low, high = _scale(entries)
    top = max((entry.score for entry in entries), default=0.0)
    lines = [
        _ranked(board, entry, row, own, _bar(entry, low, high, top))
        for entry, row, own in zip(entries, table.rows, facts, strict=True)
    ]
    return _without_empty(Grid("Ranking", tuple(columns), tuple(lines)))


def _ranked(board: Leaderboard, entry: Entry, row: Row, facts: SystemFacts, bar: Bar | None) -> tuple[Cell, ...]:
    return (
        name_cell(entry, badges(entry, facts)),
        Cell(row.rank, _rank_order(entry)),
        Cell(row.score, settled(entry.score), strong=entry.best),
        Cell(row.interval, bar=bar),
        Cell(one_line(row.letters), one_line(entry.letters) or None),
        Cell(row.to_top, settled(entry.to_top)),
        Cell(row.p_adjusted, settled(entry.to_top_p_adjusted)),
        Cell(row.seeds, entry.n_seeds),
        Cell(row.coverage, settled(entry.coverage)),
        *(
            Cell(text, settled(entry.metrics.get(name)))
            for name, text in zip(board.metrics[1:], row.others, strict=True)
        ),
        Cell(count(facts.n_parameters), facts.n_parameters),
        Cell(duration(facts.seconds), settled(facts.seconds)),
        Cell(dollars(facts.usd), settled(facts.usd)),
    )


def label_scores(labels: Sequence[str], entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Grid:
    """Returns F1 by label as a heat map, shaded over the whole table."""
    gold = [sum(row) // len(facts[0].seeds) for row in facts[0].confusion]
    columns = [Column("System", numeric=False)] + [
        Column(one_line(label), note=f"{n:,} utterances") for label, n in zip(labels, gold, strict=True)
    ]
    highest = max((f1 for own in facts for f1 in own.label_f1), default=0.0) or 1.0
    lines = [
        (
            name_cell(entry),
            *(
                Cell(numbers.percent(f1), settled(f1), heat=min(HEATS - 1, int(HEATS * f1 / highest)))
                for f1 in own.label_f1
            ),
        )
        for entry, own in zip(entries, facts, strict=True)
    ]
    return Grid("F1 by label", tuple(columns), tuple(lines))


def variances(entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Grid:
    """Returns the standard errors by source, in points, with the spread of the seeds."""
    columns = (
        Column("System", numeric=False),
        Column("SE", note="Standard error of the score, in points."),
        Column("Dialogues", note="Part of it that more dialogues would reduce."),
        Column("Seeds", note="Part of it that more seeds would reduce."),
        Column("Interaction", note="Part of the seeds' share that the dialogues' share already holds."),
        Column("Runs"),
        Column("Lowest run", note="Percent."),
        Column("Highest run", note="Percent."),
    )
    lines = []
    for entry, own in zip(entries, facts, strict=True):
        parts = (entry.se, entry.se_dialogue, entry.se_seed, entry.se_interaction)
        ends = (min(own.seed_scores), max(own.seed_scores))
        cells = [Cell(numbers.percent(part), settled(part)) for part in (*parts, *ends)]
        cells.insert(len(parts), Cell(str(len(own.seeds)), len(own.seeds)))
        lines.append((name_cell(entry), *cells))
    return Grid("Where the uncertainty comes from", columns, tuple(lines))


def badges(entry: Entry, facts: SystemFacts) -> tuple[str, ...]:
    """Returns family, context and modalities for people."""
    seen = f"context {entry.context}"
    return tuple(one_line(badge) for badge in (facts.family, seen, *entry.modalities) if badge)


def name_cell(entry: Entry, own: tuple[str, ...] = ()) -> Cell:
    """Returns the first cell of a line."""
    name = one_line(entry.name) or "(no name)"
    return Cell(name, name.casefold(), strong=entry.top, badges=own)


def settled(value: float | None) -> float | None:
    """Returns a number as leaderboard.json stores it; None for one that does not exist."""
    return numbers.settle(value) if value is not None and math.isfinite(value) else None


def count(n: float | None) -> str:
    """Returns a number of parameters: "512", "30 k", "6.74 B"."""
    if n is None:
        return numbers.MISSING
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if n >= size:
            return f"{n / size:.3g}{unit}"
    return f"{n:.3g}"


def duration(seconds: float | None) -> str:
    """Returns a time with its unit: "2.1 s", "35 ms", "1.2 µs"."""
    if seconds is None:
        return numbers.MISSING
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def dollars(usd: float | None) -> str:
    """Returns a price in US dollars with three digits that count."""
    return numbers.MISSING if usd is None else f"${usd:.3g}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a system takes, for plots of scores against it."""

    key: str
    """Field of `SystemFacts`."""
    title: str
    show: Callable[[float | None], str]


COSTS = (
    Cost("n_parameters", "Parameters", count),
    Cost("seconds", "Time to predict an utterance", duration),
    Cost("usd", f"US dollars for {PER_CALLS:,} utterances", dollars),
)
"""In the order of the page."""


def _rank_order(entry: Entry) -> float | None:
    """Returns a number that sorts sets of ranks by their lowest, then by their highest."""
    if entry.rank_low is None or entry.rank_high is None:
        return None
    return entry.rank_low + entry.rank_high / 10_000


def _scale(entries: Sequence[Entry]) -> tuple[float, float]:
    """Returns the ends of the common scale: all intervals with a little room."""
    ends = [end for entry in entries for end in (entry.low, entry.high, entry.score) if math.isfinite(end)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.03 * (high - low) or 0.01
    return low - room, high + room


def _bar(entry: Entry, low: float, high: float, top: float) -> Bar | None:
    if not all(math.isfinite(end) for end in (entry.low, entry.score, entry.high)):
        return None
    at_low, at_score, at_high, at_top = (
        round(100 * (value - low) / (high - low), 2) for value in (entry.low, entry.score, entry.high, top)
    )
    return Bar(at_low, at_score, at_high, at_top)


def _without_empty(grid: Grid) -> Grid:
    """Returns the table without the columns in which no line says anything."""
    full = [
        i
        for i in range(len(grid.columns))
        if any(line[i].bar or line[i].text not in ("", numbers.MISSING) for line in grid.lines)
    ]
    columns = tuple(grid.columns[i] for i in full)
    return Grid(grid.name, columns, tuple(tuple(line[i] for i in full) for line in grid.lines))
