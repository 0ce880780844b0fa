"""Tables for a paper, in LaTeX to paste: of any grid, and of published values.

The layout is in `templates/table.tex.j2` and `templates/published.tex.j2`; this module prepares their cells, every one
of them escaped here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from harness.export import published
from harness.export.escape import latex_breakable, latex_escape, one_line
from harness.export.grid import Cell, Grid, Head
from harness.export.numbers import MISSING
from harness.export.published import ABOUT, BLOCK_LEGEND, FACTS, NOTES_HEAD, TITLE, UNVERIFIED, Block, make_block
from harness.leaderboard.leaderboard import Leaderboard

if TYPE_CHECKING:
    import jinja2

LONG_NAME = 34
"""Characters of a predictor's name above which the first column breaks lines."""

NUMBER = re.compile(r"([<+-]?)(\d+)(?:\.(\d+))?")
"""What a column of siunitx can hold, besides nothing and a dash."""


@dataclass(frozen=True, slots=True)
class _Column:
    """How one column of a grid is typeset."""

    spec: str
    split: bool
    """Whether small and raised text have a column of their own, so that digits stay below each other."""
    siunitx: bool


def grid_to_latex(grid: Grid, version: str, siunitx: bool = False) -> str:
    """Returns a `table` environment, after comments that say which packages it needs.

    Args:
        grid: the table.
        version: of the harness that computed its numbers.
        siunitx: whether columns of numbers are aligned by siunitx, which has no underline: a dagger stands for it.
    """
    columns = [_column(grid, i, siunitx) for i in range(len(grid.heads))]
    names = [line[i].text for line in grid.lines for i, head in enumerate(grid.heads) if head.align == "name"]
    caption = [_words(line) for line in grid.caption]
    if siunitx:
        caption = [line.replace("Underlined:", rf"{DAGGER}:") for line in caption]
    return latex_template("table.tex.j2").render(
        grid=grid,
        version=version,
        siunitx=siunitx,
        label=latex_label(grid.label),
        short_title=grid.short_title or grid.title,
        caption=caption,
        columns="".join(_spec(head, column, names) for head, column in zip(grid.heads, columns, strict=True)),
        groups=list(_groups(grid.heads, columns)),
        head=[_head(head, column) for head, column in zip(grid.heads, columns, strict=True)],
        lines=[
            [
                part
                for cell, head, column in zip(line, grid.heads, columns, strict=True)
                for part in _cell(cell, head, column, names, grid.stacked)
            ]
            for line in grid.lines
        ],
        stretch=r" \addlinespace[2pt]" if grid.stacked else "",
    )


DAGGER = r"\textsuperscript{\textdagger}"


def _column(grid: Grid, index: int, siunitx: bool) -> _Column:
    cells = [line[index] for line in grid.lines]
    if grid.heads[index].align != "right" or grid.stacked:
        return _Column({"left": "l", "centre": "c", "right": "r"}.get(grid.heads[index].align, ""), False, False)
    texts = [cell.text for cell in cells if cell.text not in ("", MISSING)]
    numbers = [found for text in texts if (found := NUMBER.fullmatch(text))]
    aligned = siunitx and len(numbers) == len(texts) > 0
    split = any(cell.small or cell.raised or (aligned and cell.top) for cell in cells)
    gap = "@{ }" if any(cell.small.startswith("[") for cell in cells) else "@{}"
    behind = f"{gap}l" if split else ""
    if not aligned:
        return _Column(f"r{behind}", split, False)
    signs = {found[1] for found in numbers} - {""}
    sign = "<" if "<" in signs else "+" if signs else ""
    whole, fraction = (max(len(found[place] or "") for found in numbers) for place in (2, 3))
    return _Column(f"S[table-format={sign}{whole}.{fraction}]{behind}", split, True)


def _spec(head: Head, column: _Column, names: Sequence[str]) -> str:
    return latex_name_column(names) if head.align == "name" else column.spec


def _groups(heads: Sequence[Head], columns: Sequence[_Column]) -> Iterator[dict[str, object]]:
    """Yields each group of columns with its first and last place in LaTeX; nothing if there is one group only."""
    if not any(head.group for head in heads):
        return
    place = 1
    for group, own in groupby(zip(heads, columns, strict=True), key=lambda pair: pair[0].group):
        width = sum(1 + column.split for _, column in own)
        if group:
            yield {"title": latex_escape(group), "first": place, "last": place + width - 1}
        place += width


def _head(head: Head, column: _Column) -> str:
    title = _words(head.title)
    if column.split:
        return rf"\multicolumn{{2}}{{c}}{{{title}}}"
    return f"{{{title}}}" if column.siunitx else title


def _cell(cell: Cell, head: Head, column: _Column, names: Sequence[str], stacked: bool) -> list[str]:
    """Returns a cell; its small and raised text as another one where the column is split."""
    if head.align == "name":
        return [latex_name(cell.text, names)]
    if head.align == "left":
        return [latex_escape(cell.text)]
    if column.siunitx:
        shown = cell.text if NUMBER.fullmatch(cell.text) else f"{{{latex_digits(cell.text)}}}"
        main = rf"\bfseries {shown}" if cell.bold else shown
    else:
        shown = latex_digits(cell.text)
        bold = rf"\textbf{{{shown}}}" if cell.bold else shown
        main = rf"\underline{{{bold}}}" if cell.top else bold
    if stacked and cell.small:
        return [rf"\shortstack{{{main}\\{{\tiny {latex_digits(cell.small)}}}}}"]
    return [main, _behind(cell, column)] if column.split else [main]


def _behind(cell: Cell, column: _Column) -> str:
    small = rf"{{\footnotesize {latex_digits(cell.small)}}}" if cell.small else ""
    if cell.small.startswith("±"):
        small = rf"{{\footnotesize\,$\pm$\,{cell.small[1:]}}}"
    raised = rf"\textsuperscript{{{latex_escape(cell.raised)}}}" if cell.raised else ""
    return small + raised + (DAGGER if column.siunitx and cell.top else "")


def _words(text: str) -> str:
    """Returns words of ours, with what they may quote, for a caption or a head."""
    return latex_escape(text).replace("p adj", r"$p_{\mathrm{adj}}$")


def published_to_latex(board: Leaderboard) -> str:
    """Returns the `table` environment of the published values of a board; "" if it shows none."""
    block = make_block(board)
    return "" if block is None else _published(board, block)


def _published(board: Leaderboard, block: Block) -> str:
    names = [line.name.text for line in block.lines]
    spans = [2 * [dataset for dataset, _ in block.columns].count(header.dataset) for header in board.datasets]
    lasts = [1 + sum(spans[: i + 1]) for i in range(len(spans))]
    return latex_template("published.tex.j2").render(
        board=board,
        label=latex_label(f"{board.board}-published"),
        columns=f"{latex_name_column(names)}{'r@{}l' * len(block.columns)}rlll",
        groups=[
            {"title": latex_escape(header.dataset), "first": last - span + 1, "last": last}
            for header, span, last in zip(board.datasets, spans, lasts, strict=True)
            if span
        ],
        head=[
            "Published system",
            *(rf"\multicolumn{{2}}{{c}}{{{latex_escape(metric)}}}" for _, metric in block.columns),
            *FACTS,
        ],
        lines=[
            [
                latex_name(line.name.text, names) + _marks(line.name),
                *(part for score in line.scores for part in (latex_digits(score.text), _marks(score))),
                *(latex_escape(fact) for fact in line.facts),
            ]
            for line in block.lines
        ],
        about=f"{TITLE}. {ABOUT} {BLOCK_LEGEND}",
        notes_head=NOTES_HEAD,
        notes=block.notes,
        slips=block.slips,
    )


def _marks(cell: published.Cell) -> str:
    """Returns the marks of a cell: numbers raised, "?" in full size, where it cannot be taken for a 7."""
    raised = ",".join(mark for mark in cell.marks if mark != UNVERIFIED)
    return (UNVERIFIED if UNVERIFIED in cell.marks else "") + (rf"\textsuperscript{{{raised}}}" if raised else "")


def latex_digits(text: str) -> str:
    """Returns digits, a signed number or a range of ranks for LaTeX; no foreign text, and brackets stay readable."""
    shown = "--" if text == MISSING else text.replace("-", "$-$").replace("<", "$<$")
    return shown.replace(MISSING, "--")


def latex_label(name: str) -> str:
    """Returns a name without the characters that a label must not have."""
    return re.sub(r"[^A-Za-z0-9._:-]+", "-", name)


def latex_name_column(names: Sequence[str]) -> str:
    """Returns the column that holds these predictors: one that breaks lines if any of them is long."""
    return r"p{0.38\linewidth}" if _any_long(names) else "l"


def latex_name(name: str, names: Sequence[str]) -> str:
    """Returns a predictor's name for the column of all names."""
    return rf"\raggedright\hangindent=1em {latex_breakable(name)}" if _any_long(names) else latex_escape(name)


def _any_long(names: Sequence[str]) -> bool:
    return any(len(one_line(name)) > LONG_NAME for name in names)


@cache
def latex_template(name: str, package: str = "harness.export") -> jinja2.Template:
    r"""Returns a template of a package; it writes \VAR{...} and \BLOCK{...}, and escapes nothing by itself."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        block_start_string=r"\BLOCK{",
        block_end_string="}",
        variable_start_string=r"\VAR{",
        variable_end_string="}",
        comment_start_string=r"\#{",
        comment_end_string="}",
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # it would escape HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"latex": latex_escape, "breakable": latex_breakable, "one_line": one_line}
    return environment.get_template(name)
