"""An error atlas as text: as one of the tables for people (`grid`), as CSV and as JSON.

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
from dataclasses import asdict, fields
from io import StringIO

from harness.errors import UnknownNameError
from harness.export import FORMATS, numbers
from harness.export.console import grid_to_console
from harness.export.csvfile import csv_cell
from harness.export.grid import Cell, Grid, Head
from harness.export.jsonfile import stored
from harness.export.latex import grid_to_latex
from harness.export.markdown import grid_to_markdown
from harness.export.rows import SCOPES, describe_test
from harness.leaderboard.records import TEST_TITLES
from harness.metrics import metric_title
from harness.slices.atlas import Atlas, SliceRow, SliceScore

HOW = ("scope", "test", "correction", "alpha", "n_resamples", "seed", "n_tests", "signature")
SCORE = tuple(field.name for field in fields(SliceScore))

APPROXIMATE = "~"

READING = (
    f"Dialogues: those with an utterance in the slice, the unit of resampling. {APPROXIMATE}: approximate, for few or "
    f"unequal dialogues. {numbers.MISSING}: not known, for fewer than 10 or too few seeds. F1 counts the slice alone, "
    "so that false alarms outside of it cost nothing. Slices with other shares of labels score differently by that "
    "alone: compare systems on a slice."
)
READING_PAIR = "A difference found on one slice and not on another is no difference between the two slices."


def export_atlas(atlas: Atlas, to: str) -> str:
    """Returns an atlas as text that ends with a newline; the same atlas gives the same text.

    Args:
        atlas: what to export.
        to: one of `FORMATS`.

    Raises:
        UnknownNameError: there is no such format.
    """
    if to not in FORMATS:
        raise UnknownNameError.of("format", to, FORMATS)
    if to == "csv":
        return to_csv(atlas)
    if to == "json":
        return json.dumps(stored(asdict(atlas)), indent=1, allow_nan=False) + "\n"
    grid = make_grid(atlas, left_out=to == "console")
    if to == "latex":
        return grid_to_latex(grid, atlas.version)
    return grid_to_console(grid) if to == "console" else grid_to_markdown(grid)


def make_grid(atlas: Atlas, left_out: bool) -> Grid:
    """Returns the table that formats for people typeset.

    Args:
        atlas: what it shows.
        left_out: whether it says which slices are not shown, with what to do.
    """
    title = metric_title(atlas.metric)
    pair = len(atlas.systems) == 2
    names = zip("AB", atlas.systems, atlas.n_seeds, strict=False)
    systems = [
        f"{f'{letter}: ' if pair else ''}{label} ({numbers.count_range([n], 'seed')})" for letter, label, n in names
    ]
    if pair:
        heads = (f"A {title} %", f"B {title} %", "A minus B", "p adj")
    else:
        heads = (f"{title} %", *(() if atlas.metric == "accuracy" else ("accuracy %",)))
    before = ("", *(row.slice for row in atlas.rows))
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in atlas.meanings.items())
    absent = ", ".join(f"{name} ({remedy})" for name, remedy in atlas.left_out.items())
    return Grid(
        label=f"{atlas.dataset}-slices",
        title=f"{atlas.dataset}, {atlas.split}: {title} by slice",
        heads=(Head("Slice", "left"), Head("Value", "left"), *map(Head, ("n", "Dialogues", *heads))),
        lines=tuple(
            (Cell("" if row.slice == last else row.slice), Cell(row.value), *_cells(row, atlas))
            for row, last in zip(atlas.rows, before, strict=False)
        ),
        caption=(
            f"{'; '.join(systems)}.",
            f"{_about(atlas, title)}.",
            *(["Bold: different after the correction."] if atlas.n_tests else []),
            READING,
            *([READING_PAIR] if pair else []),
        ),
        signature=atlas.signature,
        notes=(
            *([("slices", f"{meanings}.")] if meanings else []),
            *([("not shown", f"{absent}.")] if absent and left_out else []),
            *((atlas.dataset, warning) for warning in atlas.warnings),
        ),
    )


def to_csv(atlas: Atlas) -> str:
    """Returns the atlas as CSV with a header line; the columns are listed in this module's docstring."""
    file = StringIO()
    records = [_record(row, atlas) for row in atlas.rows]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(records[0])
    writer.writerows([csv_cell(value) for value in record.values()] for record in records)
    return file.getvalue()


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


def _cells(row: SliceRow, atlas: Atlas) -> tuple[Cell, ...]:
    cells = [Cell(f"{row.n_utterances:,}"), Cell(f"{row.n_dialogues:,}")]
    for one in row.scores:
        cells.append(_measured(numbers.percent(one.score), one.low, one.high, row))
    if row.difference is not None:
        gap = row.difference
        p = gap.p_adjusted if math.isfinite(gap.p_adjusted) else None
        cells.append(_measured(numbers.points(gap.difference), gap.low, gap.high, row))
        cells.append(Cell(numbers.p_value(p), bold=atlas.n_tests > 0 and gap.p_adjusted <= atlas.alpha))
    elif atlas.metric != "accuracy":
        one = row.scores[0]
        cells.append(_measured(numbers.percent(one.accuracy), one.accuracy_low, one.accuracy_high, row))
    return tuple(cells)


def _measured(digits: str, low: float, high: float, row: SliceRow) -> Cell:
    """Returns a number with its interval, marked where that is approximate."""
    shown = numbers.interval(low, high)
    return Cell(digits, shown or numbers.MISSING, APPROXIMATE if shown and row.warnings else "")


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
