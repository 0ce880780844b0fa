"""A leaderboard for a README or a pull request: GitHub Markdown, one table a dataset."""

from __future__ import annotations

from tabulate import tabulate

from harness.export.escape import escape_markdown, markdown_code
from harness.export.grid import Cell, Grid
from harness.export.published import ABOUT, BLOCK_LEGEND, FACTS, NOTES_HEAD, TITLE, Block, make_block, marked
from harness.export.rows import LEGEND, Row, Table, describe_scores, describe_tests, make_tables, other_titles
from harness.leaderboard.leaderboard import Leaderboard

BOLD = "**Bold**: highest score, ties included."
TOP = "†"
"""Not separable from the best."""


def to_markdown(board: Leaderboard) -> str:
    """Returns the board as Markdown: a heading, a table with notes and signature for each dataset, and the legend."""
    parts = [f"## {escape_markdown(board.title)}"]
    for table in make_tables(board):
        parts += _table(table, board)
    block = make_block(board)
    parts += [] if block is None else [_published(block)]
    caption = f"{escape_markdown(describe_scores(board))}. {escape_markdown(describe_tests(board))}. {BOLD} {LEGEND}"
    return "\n\n".join([*parts, caption]) + "\n"


def grid_to_markdown(grid: Grid) -> str:
    """Returns any table as Markdown: a heading, the table, notes, signature, and what its caption says."""
    lines = [[_grid_cell(cell) for cell in line] for line in grid.lines]
    drawn = tabulate(
        lines,
        headers=[escape_markdown(" ".join(part for part in (head.group, head.title) if part)) for head in grid.heads],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left" if head.align in ("name", "left") else "right" for head in grid.heads] if lines else None,
    )
    notes = [f"> **Note:** {escape_markdown(f'{dataset}: {note}')}" for dataset, note in grid.notes]
    caption = escape_markdown(" ".join(grid.caption)).replace("Underlined:", f"{TOP}:")
    parts = [f"## {escape_markdown(grid.title)}", drawn, *notes, f"Signature: {markdown_code(grid.signature)}", caption]
    return "\n\n".join(parts) + "\n"


def _grid_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    shown = f"**{text}**" if cell.bold and text else text
    return " ".join(part for part in (shown, cell.small, escape_markdown(cell.raised), TOP if cell.top else "") if part)


def _table(table: Table, board: Leaderboard) -> list[str]:
    header = table.header
    others = [escape_markdown(title) for title in other_titles(board)]
    metric = f"{escape_markdown(table.metric_title)} % [low, high]"
    coverage = [] if table.full_coverage else ["Coverage"]
    headers = ["Rank", "Predictor", metric, "Letters", "Δ top", "p adj", "Seeds", *coverage, "Context", *others]
    words = ("Rank", "Predictor", metric, "Letters", "Context")
    grid = tabulate(
        [_cells(row, table) for row in table.rows],
        headers=headers,
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left" if title in words else "right" for title in headers],
    )
    about = f"**{escape_markdown(header.dataset)}**, {escape_markdown(header.split)}: {table.size}"
    rests = "; ".join(escape_markdown(text) for text in (table.power, table.spread) if text)
    notes = [f"> **Note:** {escape_markdown(warning)}" for warning in header.warnings]
    return [about, grid, f"{rests}.", *notes, f"Signature: {markdown_code(header.signature)}"]


def _published(block: Block) -> str:
    """Returns the published values as a quotation, which pages show shaded."""
    grid = tabulate(
        [
            [escape_markdown(text) for text in (marked(line.name), *map(marked, line.scores), *line.facts)]
            for line in block.lines
        ],
        headers=[escape_markdown(head) for head in ("Published system", *block.heads, *FACTS)],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left", *["right"] * (len(block.columns) + 1), *["left"] * (len(FACTS) - 1)],
    )
    notes = [f"- {mark}: {escape_markdown(text)}" for mark, text in block.notes]
    slips = [f"- Slip: {escape_markdown(slip)}." for slip in block.slips]
    legend = (BLOCK_LEGEND, *([NOTES_HEAD] if notes else []))
    lines = [f"**{TITLE}.** {ABOUT}", "", *grid.splitlines(), "", " ".join(legend), "", *notes, *slips]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _cells(row: Row, table: Table) -> list[str]:
    score = f"**{row.score}**" if row.best else row.score
    marked = " ".join(part for part in (score, row.interval, TOP if row.top else "") if part)
    predictor, letters, context = (escape_markdown(text) for text in (row.predictor, row.letters, row.context))
    coverage = [] if table.full_coverage else [row.coverage]
    return [
        row.rank,
        predictor,
        marked,
        letters,
        row.to_top,
        row.p_adjusted,
        row.seeds,
        *coverage,
        context,
        *row.others,
    ]
