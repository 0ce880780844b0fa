"""A leaderboard for a paper: one LaTeX table to paste.

The layout is in `templates/table.tex.j2`; this module prepares its cells, every one of them escaped here.
One dataset gives the columns predictor, score with interval, ranks, letters, difference to the leader with its
corrected p-value, coverage where some row is below 100 %, and other metrics. Several datasets give
one group of columns each and one row a predictor: in the order of the first dataset; who is not there follows in the
order of the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from harness.export.escape import latex_breakable, latex_escape, one_line
from harness.export.numbers import MISSING, level
from harness.export.published import ABOUT, BLOCK_LEGEND, FACTS, NOTES_HEAD, TITLE, UNVERIFIED, Block, Cell, make_block
from harness.export.rows import Row, Table, describe_scores, describe_tests, make_tables, other_titles
from harness.leaderboard.leaderboard import Leaderboard

if TYPE_CHECKING:
    import jinja2

LONG_NAME = 34
"""Characters of a predictor's name above which the first column breaks lines."""


def to_latex(board: Leaderboard) -> str:
    """Returns a `table` environment, after comments that say which packages it needs; another for published values."""
    tables = make_tables(board)
    grid = _single(board, tables[0]) if len(tables) == 1 else _grouped(board, tables)
    block = make_block(board)
    table = latex_template("table.tex.j2").render(
        board=board,
        tables=tables,
        label=latex_label(board.board),
        scores=describe_scores(board),
        tests=describe_tests(board),
        covered=not all(table.full_coverage for table in tables),
        **grid,
    )
    return table if block is None else f"{table}\n{_published(board, block)}"


def _published(board: Leaderboard, block: Block) -> str:
    """Returns the `table` environment of the published values."""
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


def _marks(cell: Cell) -> str:
    """Returns the marks of a cell: numbers raised, "?" in full size, where it cannot be taken for a 7."""
    raised = ",".join(mark for mark in cell.marks if mark != UNVERIFIED)
    return (UNVERIFIED if UNVERIFIED in cell.marks else "") + (rf"\textsuperscript{{{raised}}}" if raised else "")


def _single(board: Leaderboard, table: Table) -> dict[str, Any]:
    """Returns columns, head and lines of the table of one dataset."""
    others = [latex_escape(title) for title in other_titles(board)]
    coverage = [] if table.full_coverage else ["Cover."]
    score = rf"\multicolumn{{2}}{{c}}{{{latex_escape(f'{table.metric_title} ({level(board.alpha)} interval)')}}}"
    names = [row.predictor for row in table.rows]
    lines = [
        [
            latex_name(row.predictor, names),
            _score(row),
            rf"{{\footnotesize {row.interval}}}" if row.interval else "",
            latex_digits(row.rank),
            latex_escape(row.letters),
            latex_digits(row.to_top),
            latex_digits(row.p_adjusted),
            *([latex_digits(row.coverage)] if coverage else []),
            *(latex_digits(other) for other in row.others),
        ]
        for row in table.rows
    ]
    return {
        "columns": f"{latex_name_column(names)}r@{{ }}lclrr{'r' * len([*coverage, *others])}",
        "groups": [],
        "head": ["Predictor", score, "Rank", "Letters", r"$\Delta$ top", r"$p_{\mathrm{adj}}$", *coverage, *others],
        "lines": lines,
    }


def _grouped(board: Leaderboard, tables: tuple[Table, ...]) -> dict[str, Any]:
    """Returns columns, groups, head and lines of the table of several datasets."""
    coverage = [] if all(table.full_coverage for table in tables) else ["Cover."]
    others = [*coverage, *(latex_escape(title) for title in other_titles(board))]
    width = 2 + len(others)
    by_dataset = [{row.predictor: row for row in table.rows} for table in tables]
    predictors = list(dict.fromkeys(name for rows in by_dataset for name in rows))
    lines = []
    for name in predictors:
        cells = (_group_cells(rows, name, width, bool(coverage)) for rows in by_dataset)
        lines.append([latex_name(name, predictors), *chain.from_iterable(cells)])
    return {
        "columns": latex_name_column(predictors) + f"r@{{}}l{'r' * len(others)}" * len(tables),
        "groups": [
            {"title": latex_escape(table.header.dataset), "first": 2 + i * width, "last": 1 + (i + 1) * width}
            for i, table in enumerate(tables)
        ],
        "head": ["Predictor", *(head for table in tables for head in (_group_head(table), *others))],
        "lines": lines,
    }


def _group_head(table: Table) -> str:
    return rf"\multicolumn{{2}}{{c}}{{{latex_escape(table.metric_title)}}}"


def _group_cells(rows: Mapping[str, Row], predictor: str, width: int, with_coverage: bool) -> list[str]:
    row = rows.get(predictor)
    if row is None:
        return ["--", "", *["--"] * (width - 2)]
    reach = rf"{{\footnotesize\,$\pm$\,{row.half_width}}}" if row.half_width else ""
    letters = "" if row.letters == MISSING else rf"\textsuperscript{{{latex_escape(row.letters)}}}"
    others = [row.coverage, *row.others] if with_coverage else row.others
    return [_score(row), reach + letters, *(latex_digits(other) for other in others)]


def _score(row: Row) -> str:
    """Returns a score: bold if it is the highest, underlined if not separable from it."""
    text = latex_digits(row.score)
    if row.best:
        text = rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if row.top else text


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
