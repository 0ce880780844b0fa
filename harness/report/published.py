"""What papers report, as the page shows it: a shaded table of its own, sorted by itself, never ranked or tested."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.export.escape import one_line
from harness.export.published import ABOUT, BLOCK_LEGEND, FACTS, NOTES_HEAD, TITLE, Block, Line, make_block, marked
from harness.leaderboard.leaderboard import DatasetHeader, Leaderboard
from harness.report.tables import Cell, Column, Grid, settled

COLUMN_NOTES = {
    "Seeds": "Runs behind the value; – where the source does not say.",
    "Chosen on": "The split that chose the epoch, none if untrained; – where the source does not say.",
    "By": "own: the system's authors; re-run: others; copied: from the authors.",
    "Source": "Paper or repository, and its table.",
}


@dataclass(frozen=True, slots=True)
class Published:
    """The published values of one dataset."""

    title: str
    about: str
    legend: str
    grid: Grid
    notes_head: str
    notes: tuple[tuple[str, str], ...]
    """Each mark with what it means."""
    slips: tuple[str, ...]
    """What the papers' tables contradict in themselves."""


def make_published(board: Leaderboard, header: DatasetHeader) -> Published | None:
    """Returns the published values of a dataset in the order of their papers; None if the board shows none."""
    own = tuple(entry for entry in board.published if entry.dataset == header.dataset)
    block = make_block(replace(board, datasets=(header,), published=own))
    if block is None:
        return None
    columns = (
        Column("Published system", numeric=False),
        *(Column(one_line(metric), note="Percent, as printed.") for _, metric in block.columns),
        *(Column(fact, numeric=fact == "Seeds", note=COLUMN_NOTES[fact]) for fact in FACTS),
    )
    return Published(
        title=TITLE,
        about=ABOUT,
        legend=BLOCK_LEGEND,
        grid=Grid(TITLE, columns, tuple(_line(line, block) for line in block.lines)),
        notes_head=NOTES_HEAD,
        notes=tuple((mark, one_line(text)) for mark, text in block.notes),
        slips=tuple(map(one_line, block.slips)),
    )


def _line(line: Line, block: Block) -> tuple[Cell, ...]:
    name = one_line(marked(line.name)) or "(no name)"
    seeds, *facts = line.facts
    return (
        Cell(name, name.casefold()),
        *(Cell(marked(score), settled(score.value)) for score in line.scores),
        Cell(seeds, int(seeds) if seeds.isdecimal() else None),
        *(Cell(one_line(fact), one_line(fact).casefold()) for fact in facts),
    )
