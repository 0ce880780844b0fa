"""An error atlas as text: console, Markdown, CSV, JSON and LaTeX. Every table for people has the same cells.

CSV has one row a slice, the whole split first, numbers in full and as fractions:
    dataset, split, system_a, system_b, metric: what was scored; system_b is empty without a second system.
    slice, value: the slice, and which part of it.
    n_utterances, n_dialogues: annotated utterances in it, and dialogues with one: the unit of resampling.
    score_a, low_a, high_a: the metric, mean over seeds, with the ends of its (1 - alpha) interval.
    accuracy_a, accuracy_low_a, accuracy_high_a: the same of accuracy. Both again with `_b`.
    difference, difference_low, difference_high: a minus b, with the ends of the interval of this slice alone.
    p_value, p_adjusted: of no difference; the second is corrected over all `n_tests` slices.
    warnings: why the interval is approximate or absent.
    scope, test, correction, alpha, n_resamples, seed, n_tests: how.
    signature: what another table must share to be compared with this one.

A number that does not exist is an empty cell. JSON holds the fields of `Atlas`, with null for such a number.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from io import StringIO
from types import MappingProxyType

from tabulate import tabulate

from harness.errors import UnknownNameError
from harness.export import numbers
from harness.export.console import draw_grid, wrap
from harness.export.csvfile import csv_cell
from harness.export.escape import escape_markdown, latex_escape, markdown_code, one_line
from harness.export.jsonfile import stored
from harness.export.latex import latex_digits, latex_label, latex_template
from harness.export.rows import SCOPES, describe_test
from harness.leaderboard.records import TEST_TITLES
from harness.metrics import metric_title
from harness.slices.atlas import Atlas, SliceRow, SliceScore

WIDTH = 110
"""Columns of a terminal."""

HOW = ("scope", "test", "correction", "alpha", "n_resamples", "seed", "n_tests", "signature")
SCORE = tuple(field.name for field in fields(SliceScore))

READING = (
    "Dialogues: those with an utterance in the slice, the unit of resampling. ~: approximate, for few or unequal "
    "dialogues. –: not known, for fewer than 10 or too few seeds. F1 counts the slice alone, so that false alarms "
    "outside of it cost nothing. Slices with other shares of labels score differently by that alone: compare systems "
    "on a slice."
)
READING_PAIR = " A difference found on one slice and not on another is no difference between the two slices."


@dataclass(frozen=True, slots=True)
class Line:
    """One row as it is printed, raw."""

    slice: str
    """"" where the row above has the same."""
    value: str
    cells: tuple[str, ...]
    """Digits, in the order of `Sheet.heads`."""
    different: bool
    """Whether the corrected test calls the two systems different."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """An atlas as it is printed."""

    title: str
    systems: tuple[str, ...]
    """One sentence a system."""
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    about: str
    """What the numbers are, and how differences were tested."""
    reading: str
    """How to read them."""
    meanings: str
    """What slices sort by; "" for none."""
    left_out: str
    """Slices that are not shown, with what to do; "" for none."""


def export_atlas(atlas: Atlas, to: str) -> str:
    """Returns an atlas as text that ends with a newline; the same atlas gives the same text.

    Args:
        atlas: what to export.
        to: a key of `ATLAS_EXPORTERS`.

    Raises:
        UnknownNameError: there is no such format.
    """
    if to not in ATLAS_EXPORTERS:
        raise UnknownNameError.of("format", to, ATLAS_EXPORTERS)
    return ATLAS_EXPORTERS[to](atlas)


def make_sheet(atlas: Atlas) -> Sheet:
    """Returns the words and digits that the tables for people share."""
    title = metric_title(atlas.metric)
    pair = len(atlas.systems) == 2
    names = zip("AB", atlas.systems, atlas.n_seeds, strict=False)
    if pair:
        heads = (f"A {title} %", "[low, high]", f"B {title} %", "[low, high]", "A - B", "[low, high]", "p adj")
    else:
        others = () if atlas.metric == "accuracy" else ("accuracy %", "[low, high]")
        heads = (f"{title} %", "[low, high]", *others)
    before = ("", *(row.slice for row in atlas.rows))
    return Sheet(
        title=f"{atlas.dataset}, {atlas.split}: {title} by slice",
        systems=tuple(
            f"{f'{letter}: ' if pair else ''}{label} ({numbers.count_range([n], 'seed')})" for letter, label, n in names
        ),
        heads=("n", "Dialogues", *heads),
        lines=tuple(
            Line("" if row.slice == last else row.slice, row.value, _cells(row, atlas), _is_different(row, atlas))
            for row, last in zip(atlas.rows, before, strict=False)
        ),
        about=_about(atlas, title),
        reading=READING + (READING_PAIR if pair else ""),
        meanings="; ".join(f"{name}: {meaning}" for name, meaning in atlas.meanings.items()),
        left_out=", ".join(f"{name} ({remedy})" for name, remedy in atlas.left_out.items()),
    )


def to_console(atlas: Atlas) -> str:
    """Returns the atlas for a terminal: plain text without colours."""
    sheet = make_sheet(atlas)
    heads = ("Slice", "Value", *sheet.heads)
    cells = [[one_line(line.slice), one_line(line.value), *_starred(line)] for line in sheet.lines]
    star = " *: different after the correction." if atlas.n_tests else ""
    notes = [
        f"{sheet.about}.{star}",
        sheet.reading,
        *([f"Slices: {sheet.meanings}."] if sheet.meanings else []),
        *([f"Not shown: {sheet.left_out}."] if sheet.left_out else []),
        *(f"! {warning}" for warning in atlas.warnings),
    ]
    lines = [
        one_line(sheet.title), *map(one_line, sheet.systems), "",
        *draw_grid(heads, ("Slice", "Value", "[low, high]"), cells), "",
        *(part for note in notes for part in wrap(one_line(note), WIDTH)),
        f"Signature: {one_line(atlas.signature)}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def to_markdown(atlas: Atlas) -> str:
    """Returns the atlas as a heading, a table and its legend."""
    sheet = make_sheet(atlas)
    heads = ("Slice", "Value", *sheet.heads)
    grid = tabulate(
        [[*map(escape_markdown, (line.slice, line.value)), *_bold(line, "**{}**")] for line in sheet.lines],
        headers=[escape_markdown(head) for head in heads],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left" if head in ("Slice", "Value", "[low, high]") else "right" for head in heads],
    )
    legend = [f"{sheet.about}. {_bold_legend(atlas)}", sheet.reading]
    legend += [f"Slices: {sheet.meanings}."] if sheet.meanings else []
    notes = [f"> **Note:** {escape_markdown(warning)}" for warning in atlas.warnings]
    parts = [
        f"## {escape_markdown(sheet.title)}", escape_markdown("; ".join(sheet.systems)), grid,
        *map(escape_markdown, legend), *notes, f"Signature: {markdown_code(atlas.signature)}",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def to_latex(atlas: Atlas) -> str:
    """Returns a `table` environment, after comments that say which packages it needs."""
    sheet = make_sheet(atlas)
    heads = [latex_escape(head).replace("A - B", "A $-$ B") for head in sheet.heads]
    return latex_template("slices.tex.j2").render(
        atlas=atlas,
        sheet=sheet,
        label=latex_label(f"{atlas.dataset}-slices"),
        columns=f"ll{''.join('l' if head == '[low, high]' else 'r' for head in sheet.heads)}",
        head=["Slice", "Value", *heads],
        lines=[
            {
                "begins": bool(line.slice) and i > 0,
                "cells": [
                    latex_escape(line.slice),
                    latex_escape(line.value),
                    *(
                        cell.replace("~", r"\textasciitilde{}")
                        for cell in map(latex_digits, _bold(line, r"\textbf{{{}}}"))
                    ),
                ],
            }
            for i, line in enumerate(sheet.lines)
        ],
        bold=_bold_legend(atlas),
    )


def to_csv(atlas: Atlas) -> str:
    """Returns the atlas as CSV with a header line; the columns are listed in this module's docstring."""
    file = StringIO()
    records = [_record(row, atlas) for row in atlas.rows]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(records[0])
    writer.writerows([csv_cell(value) for value in record.values()] for record in records)
    return file.getvalue()


def to_json(atlas: Atlas) -> str:
    """Returns the fields of the atlas as one JSON document."""
    return json.dumps(stored(asdict(atlas)), indent=1, allow_nan=False) + "\n"


ATLAS_EXPORTERS: Mapping[str, Callable[[Atlas], str]] = MappingProxyType(
    {"console": to_console, "markdown": to_markdown, "csv": to_csv, "json": to_json, "latex": to_latex}
)
"""The formats by name."""


def _about(atlas: Atlas, title: str) -> str:
    mean = ", mean over seeds," if max(atlas.n_seeds) > 1 else ""
    scores = f"{title} in percent{mean} with {numbers.level(atlas.alpha)} intervals"
    scope = f"Scope: {SCOPES[atlas.scope]}"
    if len(atlas.systems) == 1:
        return f"{scores}. {scope}"
    if not atlas.n_tests:
        return f"{scores}. No slice was tested. {scope}"
    family = f"{numbers.count_range([atlas.n_tests], 'slice')}, the whole split apart"
    return f"{scores}. {describe_test(atlas, TEST_TITLES[atlas.test], atlas.correction, family)}. {scope}"


def _cells(row: SliceRow, atlas: Atlas) -> tuple[str, ...]:
    cells = [f"{row.n_utterances:,}", f"{row.n_dialogues:,}"]
    for one in row.scores:
        cells += [numbers.percent(one.score), _interval(one.low, one.high, row)]
    if row.difference is not None:
        gap = row.difference
        p = gap.p_adjusted if math.isfinite(gap.p_adjusted) else None
        cells += [numbers.points(gap.difference), _interval(gap.low, gap.high, row), numbers.p_value(p)]
    elif atlas.metric != "accuracy":
        one = row.scores[0]
        cells += [numbers.percent(one.accuracy), _interval(one.accuracy_low, one.accuracy_high, row)]
    return tuple(cells)


def _interval(low: float, high: float, row: SliceRow) -> str:
    """Returns an interval, marked where it is approximate."""
    shown = numbers.interval(low, high)
    return f"{shown}{' ~' if row.warnings else ''}" if shown else numbers.MISSING


def _is_different(row: SliceRow, atlas: Atlas) -> bool:
    return row.difference is not None and row.difference.p_adjusted <= atlas.alpha


def _starred(line: Line) -> list[str]:
    *cells, last = line.cells
    return [*cells, f"{last} *" if line.different else last]


def _bold(line: Line, mark: str) -> list[str]:
    """Returns the cells, the adjusted p marked where it calls the systems different."""
    *cells, last = line.cells
    return [*cells, mark.format(last) if line.different else last]


def _bold_legend(atlas: Atlas) -> str:
    return "Bold: different after the correction." if atlas.n_tests else ""


def _record(row: SliceRow, atlas: Atlas) -> dict[str, object]:
    """Returns the cells of a row of the CSV by column."""
    record: dict[str, object] = {
        "dataset": atlas.dataset, "split": atlas.split, "system_a": atlas.systems[0],
        "system_b": atlas.systems[1] if len(atlas.systems) == 2 else "", "metric": atlas.metric,
        "slice": row.slice, "value": row.value, "n_utterances": row.n_utterances, "n_dialogues": row.n_dialogues,
    }  # fmt: skip
    for letter, score in zip("ab", (*row.scores, None)[:2], strict=True):
        record |= {f"{name}_{letter}": None if score is None else getattr(score, name) for name in SCORE}
    gap, renamed = row.difference, {"low": "difference_low", "high": "difference_high"}
    for name in ("difference", "low", "high", "p_value", "p_adjusted"):
        record[renamed.get(name, name)] = None if gap is None else getattr(gap, name)
    record["warnings"] = "; ".join(row.warnings)
    return record | {name: getattr(atlas, name) for name in HOW}
