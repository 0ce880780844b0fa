"""A leaderboard for a terminal: plain text without colours, the same bytes everywhere."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from io import StringIO
from typing import Literal

from harness.export.escape import one_line
from harness.export.grid import Cell, Grid
from harness.export.published import ABOUT, BLOCK_LEGEND, FACTS, NOTES_HEAD, TITLE, Block, make_block, marked
from harness.export.rows import LEGEND, Row, Table, describe_scores, describe_tests, make_tables, other_titles
from harness.leaderboard.leaderboard import Leaderboard

NAME_WIDTH = 16
"""Characters that a predictor's name gets at least; a longer one continues on the next line where space is short."""

GAP = 2
"""Columns between two cells."""

WORDS = ("Rank", "Predictor", "[low, high]", "Letters", "Ctx")
"""Heads of columns that hold no numbers."""

SHADE = "░"
"""Stands before each line of the published values."""


def to_console(board: Leaderboard, width: int = 110) -> str:
    """Returns the board as text.

    Lines are at most `width` columns long, except that a table is never narrower than its numbers need, and that a
    signature stays on one line so that it can be copied and searched for.
    """
    parts = [one_line(board.title), ""]
    for table in make_tables(board):
        parts += [*_table(table, board, width), ""]
    block = make_block(board)
    if block is not None:
        parts += [*(f"{SHADE} {line}".rstrip() for line in _published(block, width - len(SHADE) - 1)), ""]
    return "\n".join([*parts, *_legend(board, width)]) + "\n"


def grid_to_console(grid: Grid, width: int = 110) -> str:
    """Returns any table as text; lines are as in `to_console`, and a wide table has its names folded."""
    from rich.cells import cell_len

    heads = ["\n".join(part for part in (one_line(head.group), one_line(head.title)) if part) for head in grid.heads]
    words = [text for text, head in zip(heads, grid.heads, strict=True) if head.align in ("name", "left")]
    rows = [[_grid_cell(cell) for cell in line] for line in grid.lines]
    names = [i for i, head in enumerate(grid.heads) if head.align == "name"]
    widths = [
        max(cell_len(line) for text in (head, *column) for line in text.split("\n"))
        for head, *column in zip(heads, *rows, strict=True)
    ]
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    if excess > 0:
        narrow = [max(NAME_WIDTH, widths[i] - excess) for i in names]
        for row in rows:
            for i, own in zip(names, narrow, strict=True):
                row[i] = _fold(row[i], own)
    lines = draw_grid(heads, words, rows)
    notes = [line for dataset, note in grid.notes for line in wrap(f"! {one_line(dataset)}: {one_line(note)}", width)]
    caption = wrap(one_line(" ".join(grid.caption)).replace("Bold: ", "*: ").replace("Underlined:", "†:"), width)
    parts = [one_line(grid.title), "", *lines, *notes, f"Signature: {one_line(grid.signature)}", "", *caption]
    return "\n".join(parts) + "\n"


def _grid_cell(cell: Cell) -> str:
    shown = f"*{cell.text}" if cell.bold else one_line(cell.text)
    return " ".join(part for part in (shown, cell.small, one_line(cell.raised), "†" if cell.top else "") if part)


def _table(table: Table, board: Leaderboard, width: int) -> list[str]:
    header = table.header
    lines = [f"{one_line(header.dataset)}, {one_line(header.split)}: {table.size}", ""]
    lines += _grid(table, board, width)
    for text in filter(None, (table.power, table.spread)):
        lines += wrap(one_line(text), width)
    for warning in header.warnings:
        lines += wrap(f"! {one_line(warning)}", width)
    return [*lines, f"Signature: {one_line(header.signature)}"]


def _grid(table: Table, board: Leaderboard, width: int) -> list[str]:
    """Returns the lines of a table; where it would be wider than `width`, contexts are folded, and names if need be."""
    from rich.cells import cell_len

    def draw(name_width: int | None) -> list[str]:
        return draw_grid(_titles(table, board), WORDS, [_cells(row, table, name_width) for row in table.rows])

    lines = draw(None)
    if max(map(cell_len, lines)) <= width or not table.rows:
        return lines
    longest = max(cell_len(one_line(row.predictor)) for row in table.rows)
    lines = draw(max(longest, NAME_WIDTH))
    excess = max(map(cell_len, lines)) - width
    return lines if excess <= 0 else draw(max(NAME_WIDTH, longest - excess))


def _published(block: Block, width: int) -> list[str]:
    """Returns the lines of the published values, without their shade."""
    notes = [line for mark, text in block.notes for line in wrap(f"{mark}: {one_line(text)}", width)]
    slips = [line for slip in block.slips for line in wrap(f"! {one_line(slip)}", width)]
    about, legend = wrap(ABOUT, width), wrap(BLOCK_LEGEND, width)
    return [
        TITLE,
        *about,
        "",
        *_block_grid(block, width),
        "",
        *legend,
        *([NOTES_HEAD] if notes else []),
        *notes,
        *slips,
    ]


def _block_grid(block: Block, width: int) -> list[str]:
    """Returns the lines of its table; where it would be wider than `width`, sources and names are folded."""
    from rich.cells import cell_len

    cells = [[one_line(t) for t in (marked(line.name), *map(marked, line.scores), *line.facts)] for line in block.lines]

    def draw(rows: Sequence[Sequence[str]]) -> list[str]:
        return draw_grid(("Published system", *block.heads, *FACTS), ("Published system", *FACTS[1:]), rows)

    lines = draw(cells)
    if max(map(cell_len, lines)) <= width:
        return lines
    folded = [[name, *others, _fold(source, NAME_WIDTH)] for name, *others, source in cells]
    excess = max(map(cell_len, draw(folded))) - width
    narrow = max(NAME_WIDTH, max(cell_len(name) for name, *_ in cells) - max(excess, 0))
    return draw([[_fold(name, narrow), *others] for name, *others in folded])


def draw_grid(heads: Sequence[str], words: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table as wide as its cells, since rich would cut digits off to make it narrower.

    Args:
        heads: of the columns.
        words: those of the heads whose columns are set to the left.
        rows: one text a column, each of one line or more.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for head in heads:
        side: Literal["left", "right"] = "left" if head in words else "right"
        grid.add_column(Text("\n".join(map(one_line, head.split("\n")))), justify=side, no_wrap=True)
    for row in rows:
        grid.add_row(*map(Text, row))
    console = Console(file=StringIO(), width=10_000, force_terminal=False, force_jupyter=False, color_system=None)
    with console.capture() as captured:
        console.print(grid)
    return [line.rstrip() for line in captured.get().rstrip("\n").split("\n")]


def _titles(table: Table, board: Leaderboard) -> tuple[str, ...]:
    coverage = () if table.full_coverage else ("Cover",)
    head = ("Rank", "Predictor", f"{table.metric_title} %", "[low, high]", "Letters", "Δ top", "p adj", "Seeds")
    return (*head, *coverage, "Ctx", *other_titles(board))


def _cells(row: Row, table: Table, name_width: int | None) -> tuple[str, ...]:
    name, context = one_line(row.predictor), one_line(row.context)
    if name_width is not None:
        name, context = _fold(name, name_width), context.replace(" +", "\n+")
    return (
        row.rank, name, row.score,
        f"{row.interval:<12} †" if row.top else row.interval, one_line(row.letters), row.to_top, row.p_adjusted,
        row.seeds, *(() if table.full_coverage else (row.coverage,)), context, *row.others,
    )  # fmt: skip


def _fold(name: str, width: int) -> str:
    """Returns a name on lines of at most `width` characters, broken after a space, `[`, `,`, `/` or `-` if possible."""
    lines = [""]
    for part in re.findall(rf"[^ \[,/-]{{0,{width - 1}}}[ \[,/-]?", name):
        if len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _legend(board: Leaderboard, width: int) -> list[str]:
    sentences = (f"{describe_scores(board)}. {describe_tests(board)}.", LEGEND)
    return [line for sentence in sentences for line in wrap(one_line(sentence), width)]


def wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
