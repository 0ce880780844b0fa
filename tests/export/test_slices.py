"""An atlas in every format: the same numbers everywhere, and foreign text stays text."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest

from harness.errors import UnknownNameError
from harness.export import FORMATS
from harness.export.slices import export_atlas
from harness.slices.atlas import Atlas, SliceDifference, SliceRow, SliceScore

NAN = math.nan


def make_row(name: str, value: str, score: float, gap: float | None, p: float = 0.02, *warnings: str) -> SliceRow:
    one = SliceScore(score, score - 0.05, score + 0.05, score + 0.01, score - 0.06, score + 0.06)
    if gap is None:
        return SliceRow(name, value, 1200, 80, (one,), None, warnings)
    other = replace(one, score=score - gap, low=score - gap - 0.04, high=score - gap + 0.04)
    difference = SliceDifference(gap, gap - 0.02, gap + 0.02, p / 2, p)
    return SliceRow(name, value, 1200, 80, (one, other), difference, warnings)


def make_atlas(*rows: SliceRow, **changes: object) -> Atlas:
    pair = rows[0].difference is not None
    fields = {
        "dataset": "meld", "split": "test", "fingerprint": "3f" * 32,
        "systems": ("mine[k=2]", "majority") if pair else ("mine[k=2]",), "n_seeds": (5, 1) if pair else (5,),
        "metric": "weighted_f1", "scope": "procedure", "test": "satterthwaite", "correction": "holm", "alpha": 0.05,
        "n_resamples": 0, "seed": 0, "n_tests": 3, "signature": "wF1|data:meld@3f3f3f3f|split:test", "rows": rows,
        "meanings": {"turn": "first or later turn"}, "left_out": {"video": "add --video FILE"}, "warnings": (),
        "version": "0.1.0",
    }  # fmt: skip
    return Atlas(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def pair() -> Atlas:
    few = SliceRow(
        "turn", "third", 4, 3,
        (SliceScore(0.5, NAN, NAN, 0.5, NAN, NAN), SliceScore(0.25, NAN, NAN, 0.5, NAN, NAN)),
        SliceDifference(0.25, *[NAN] * 4), ("an interval needs 10 dialogues; this slice has 3",),
    )  # fmt: skip
    return make_atlas(
        make_row("whole split", "", 0.61234, 0.0412, NAN),
        make_row("turn", "first", 0.7, 0.05, 0.0004),
        make_row("turn", "later", 0.55, -0.01, 0.4, "only 12 dialogues"),
        few,
    )


def cells(text: str, separator: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(separator)] for line in text.splitlines()]


def test_tables_for_people_show_one_set_of_digits(pair: Atlas) -> None:
    wanted = [
        ["whole split", "", "1,200", "80", "61.23 [56.2, 66.2]", "57.11 [53.1, 61.1]", "+4.12 [2.1, 6.1]", "–"],
        ["turn", "first", "1,200", "80", "70.00 [65.0, 75.0]", "65.00 [61.0, 69.0]", "+5.00 [3.0, 7.0]", "*<0.001"],
        ["", "later", "1,200", "80", "55.00 [50.0, 60.0] ~", "56.00 [52.0, 60.0] ~", "-1.00 [-3.0, 1.0] ~", "0.40"],
        ["", "third", "4", "3", "50.00 –", "25.00 –", "+25.00 –", "–"],
    ]  # fmt: skip
    console = export_atlas(pair, "console").splitlines()
    start = next(i for i, line in enumerate(console) if line.startswith("───")) + 1
    for line, row in zip(console[start : start + 4], wanted, strict=True):
        assert re.split(r"  +", line.strip()) == [cell for cell in row if cell]
    markdown = [row[1:-1] for row in cells(export_atlas(pair, "markdown").replace("\\", ""), "|") if len(row) > 3]
    plain = [[re.sub(r"\*\*(.*)\*\*", r"*\1", cell).replace("&lt;", "<") for cell in row] for row in markdown[2:6]]
    assert plain == wanted
    latex = export_atlas(pair, "latex")
    body = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")]
    for command, text in (
        (r"\\textbf\{(.*?)\}", r"*\1"),
        (r"\\textsuperscript\{(\\textasciitilde\{\})\}", r" \1"),
        (r"\{\\footnotesize (.*?)\}", r"\1"),
    ):
        body = re.sub(command, text, body)
    for command, text in ((r"\textasciitilde{}", "~"), ("$-$", "-"), ("$<$", "<"), ("--", "–")):
        body = body.replace(command, text)
    rows = [
        [cell.strip() for cell in line.removesuffix(r" \\").split("&")] for line in body.splitlines() if "&" in line
    ]
    merged = [[*row[:4], *(" ".join(row[i : i + 2]) for i in (4, 6, 8)), row[10]] for row in rows]
    assert merged == wanted


def test_scripts_get_numbers_in_full(pair: Atlas) -> None:
    rows = list(csv.DictReader(StringIO(export_atlas(pair, "csv"))))
    document = json.loads(export_atlas(pair, "json"))
    for row, record, line in zip(pair.rows, document["rows"], rows, strict=True):
        assert (record["slice"], record["value"]) == (line["slice"], line["value"]) == (row.slice, row.value)
        for letter, score, stored in zip("ab", row.scores, record["scores"], strict=True):
            for key in ("score", "low", "high", "accuracy", "accuracy_low", "accuracy_high"):
                for found in (stored[key], float(line[f"{key}_{letter}"] or "nan")):
                    assert (NAN if found is None else found) == pytest.approx(getattr(score, key), nan_ok=True)
        assert row.difference is not None
        for key, column in (("low", "difference_low"), ("p_adjusted", "p_adjusted"), ("difference", "difference")):
            value = getattr(row.difference, key)
            assert (line[column] == "") == (record["difference"][key] is None) == math.isnan(value)
            assert math.isnan(value) or float(line[column]) == pytest.approx(value)
    assert {line["system_b"] for line in rows} == {"majority"}
    assert document["left_out"] == {"video": "add --video FILE"}


def test_one_system_has_accuracy_and_no_tests() -> None:
    alone = make_atlas(make_row("whole split", "", 0.6, None))
    console = export_atlas(alone, "console")
    assert "accuracy %" in console
    assert "61.00 [54.0, 66.0]" in console
    assert "p adj" not in console
    assert "Tests" not in console
    (line,) = csv.DictReader(StringIO(export_atlas(alone, "csv")))
    assert (line["system_b"], line["score_b"], line["p_value"]) == ("", "", "")
    assert export_atlas(replace(alone, metric="accuracy"), "console").count("accuracy %") == 1


def test_foreign_text_stays_text(hostile_texts: tuple[str, ...], typeset: Callable[..., str]) -> None:
    rows = [make_row(text or "x", text, 0.5, 0.1, 0.01, text) for text in hostile_texts]
    atlas = make_atlas(
        *rows, dataset=hostile_texts[0], systems=hostile_texts[:2], signature="|".join(hostile_texts),
        meanings={text: text for text in hostile_texts}, warnings=hostile_texts, version=hostile_texts[4],
    )  # fmt: skip
    for to in FORMATS:
        text = export_atlas(atlas, to)
        assert "\x1b" not in text
        assert "\u202e" not in text
    before_signature = export_atlas(atlas, "markdown").rsplit("Signature: `", maxsplit=1)[0]
    assert "<script>" not in before_signature, "the signature stands in a code span"
    column = [line["value"] for line in csv.DictReader(StringIO(export_atlas(atlas, "csv")))]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in column)
    typeset(export_atlas(atlas, "latex"))


def test_a_full_table_fits_on_the_page(pair: Atlas, typeset: Callable[..., str]) -> None:
    rows = [replace(pair.rows[1], slice=f"slice-{i // 4}", value=f"part {i % 4}") for i in range(36)]
    log = typeset(export_atlas(replace(pair, rows=(pair.rows[0], *rows)), "latex"))
    assert "Overfull" not in log
    assert "Float too large" not in log


def test_an_unknown_format_is_refused(pair: Atlas) -> None:
    with pytest.raises(UnknownNameError, match="unknown format 'html'"):
        export_atlas(pair, "html")
