"""Checks what tables print, cell by cell, by what their heads say a column is; no number may stay unexplained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import cycle

from . import digits
from .difference import Difference
from .evidence import Document
from .tex import LAYOUT, Cell, Grid, plain, read_tables
from .words import entries_of, metric_title, name_of, table_sentences

LABEL = re.compile(r"(?P<label>.+) \((?P<n_gold>[\d,]+)\)")
"""Head of a column of F1 by label."""

TERMS = ("F1 by label", "F1 in percent; in brackets", "F1 in percent, mean over seeds; in brackets")
"""Words of captions with a digit that is no number."""

NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?")


def check_table(file: str, tex: str, document: Document) -> tuple[list[Difference], int]:
    """Returns what a file of tables says against a recomputed board, and how many numbers in it agree."""
    grids, rest = read_tables(tex)
    found = [difference for grid in grids for difference in _check_grid(file, grid, document)]
    found += _check_prose(file, rest, document)
    return found, len(NUMBER.findall(plain(tex))) - len(found)


def _check_grid(file: str, grid: Grid, document: Document) -> Iterator[Difference]:
    heads = grid.heads[-1]
    if heads[0].text == "" and all(cell.text == str(i) for i, cell in enumerate(heads[2:], start=1)):
        yield from _check_pairs(file, grid, document)
        return
    first = heads[0].text
    columns = [(dataset, cell.text, cell) for cell in heads[1:] if (dataset := _dataset_of(cell, grid, document))]
    datasets = dict.fromkeys(dataset for dataset, *_ in columns)
    names = dict.fromkeys(name_of(entry) for dataset in datasets for entry in entries_of(document, dataset))
    yield from _compare_names(file, first, list(names), [row[0].text for row in grid.rows])
    for dataset, head, _ in columns:
        if label := _label_of(head, dataset, document):
            wanted = f"{label} ({_header(dataset, document)['n_gold'][label]:,})"
            if head != wanted:
                yield Difference(file, f"head of column {label!r}", repr(wanted), repr(head))
    for row in grid.rows:
        for dataset, head, place in columns:
            entry = next((e for e in entries_of(document, dataset) if name_of(e) == row[0].text), None)
            cells = [cell for cell in row if place.column <= cell.column < place.column + place.span]
            where = f"row {row[0].text!r}, column {head!r}" + (
                "" if len(document["headers"]) == 1 else f" of {dataset}"
            )
            yield from _check_cells(file, where, cells, head, dataset, entry, document)


def _dataset_of(head: Cell, grid: Grid, document: Document) -> str:
    """Returns the dataset that a column is about: that of the group above it, of the label, or the only one."""
    names: list[str] = [header["dataset"] for header in document["headers"]]
    groups = grid.heads[0] if len(grid.heads) > 1 else []
    over = [cell.text for cell in groups if cell.column <= head.column < cell.column + cell.span and cell.text in names]
    labelled = [name for name in names if f"-{_for_label(name)}-" in f"-{grid.label}-"]
    return next(iter([*over, *labelled, *names]))


def _check_cells(
    file: str, where: str, cells: Sequence[Cell], head: str, dataset: str, entry: Document | None, document: Document
) -> Iterator[Difference]:
    tex = " ".join(cell.tex for cell in cells)
    text = _close(plain(tex))
    expected = [digits.DASH] if entry is None else _expected(head, text, dataset, entry, document)
    if not expected:
        yield Difference(file, where, "a column that can be recomputed", repr(text))
    elif text not in map(_close, expected):
        yield Difference(file, where, repr(expected[0]), repr(text))
    elif entry is not None and head.startswith(_primary(dataset, document)):
        for mark, meaning in (("textbf", "best"), ("underline", "top")):
            if (f"\\{mark}" in tex) != entry[meaning]:
                yield Difference(file, where, f"\\{mark} {'set' if entry[meaning] else 'not set'}", repr(tex.strip()))


def _expected(head: str, found: str, dataset: str, entry: Document, document: Document) -> list[str]:
    """Returns what a cell may say; empty if nobody knows what the column is."""
    primary, shown = _primary(dataset, document), digits.percent(entry["score"])
    reach = digits.half_width(entry["score"], entry["low"], entry["high"])
    letters = entry["letters"] or digits.DASH
    if head == f"{primary} ({digits.level(document['alpha'])} interval)":
        return [shown + digits.interval(entry["low"], entry["high"])]
    if head == primary and ("±" in found or not reach):
        return [f"{shown}{f'±{reach}' if reach else ''}{entry['letters']}"]
    leads = entry["to_top"] == 0 and entry["to_top_p_adjusted"] is None
    known = {
        "Rank": digits.span(entry["rank_low"], entry["rank_high"]),
        "Letters": letters,
        "Δ top": digits.DASH if leads else digits.points(entry["to_top"]),
        "p_adj": digits.p_value(entry["to_top_p_adjusted"]),
        "Cover.": digits.coverage(entry["coverage"]),
        "Seeds": str(entry["n_seeds"]),
        **{metric_title(document, name): digits.metric(name, value) for name, value in entry["metrics"].items()},
    }
    if head in known:
        return [known[head]]
    if label := _label_of(head, dataset, document):
        return [digits.percent(entry["label_f1"][label])]
    return []


def _label_of(head: str, dataset: str, document: Document) -> str | None:
    """Returns the label whose F1 a column holds; None: it holds something else."""
    found = LABEL.fullmatch(head)
    return found["label"] if found and found["label"] in _header(dataset, document)["n_gold"] else None


def _check_pairs(file: str, grid: Grid, document: Document) -> Iterator[Difference]:
    dataset = _dataset_of(grid.heads[-1][0], grid, document)
    pairs = {(pair["a"], pair["b"]): pair for pair in document["comparisons"] if pair["dataset"] == dataset}
    tested = {name for pair in pairs for name in pair}
    entries = [entry for entry in entries_of(document, dataset) if entry["predictor"] in tested]
    names = [name_of(entry) for entry in entries]
    yield from _compare_names(file, "Predictor", names, [row[1].text for row in grid.rows])
    for i, row in enumerate(grid.rows[: len(entries)]):
        if row[0].text != str(i + 1):
            yield Difference(file, f"row {names[i]!r}, number", str(i + 1), row[0].text)
        for j, cell in enumerate(row[2:]):
            where = f"row {names[i]!r}, column {j + 1}"
            above = (entries[i]["predictor"], entries[j]["predictor"])
            pair = pairs.get(above) or pairs.get(above[::-1])
            if pair is None:
                expected, differs = "", False
            else:
                differs = pair["p_adjusted"] <= document["alpha"]
                expected = (
                    digits.points(pair["difference"]) + digits.interval(pair["low"], pair["high"])
                    if above in pairs
                    else f"{digits.p_value(pair['p_adjusted'])}({digits.p_value(pair['p_value'])})"
                )
            if _close(cell.text) != _close(expected):
                yield Difference(file, where, repr(expected), repr(cell.text))
            elif ("\\textbf" in cell.tex) != differs:
                yield Difference(file, where, f"\\textbf {'set' if differs else 'not set'}", repr(cell.tex.strip()))


def _compare_names(file: str, column: str, expected: Sequence[str], found: Sequence[str]) -> Iterator[Difference]:
    wanted = list(map(_one_line, expected))
    for name in sorted({*wanted, *found}):
        if wanted.count(name) != found.count(name):
            rows = (f"{names.count(name)} rows" for names in (wanted, found))
            yield Difference(file, f"column {column!r}, name {name!r}", *rows)
    if sorted(wanted) == sorted(found) and wanted != list(found):
        yield Difference(file, f"column {column!r}, order of rows", repr(wanted), repr(list(found)))


def _check_prose(file: str, tex: str, document: Document) -> Iterator[Difference]:
    """Checks captions, notes and comments: known sentences with their numbers, then that no digit is left over."""
    text = _prose(tex)
    for quoted in sorted(_quoted(document), key=len, reverse=True):
        text = text.replace(_one_line(quoted), " … ")
    of_shape: dict[str, list[str]] = {}
    for sentence in table_sentences(document):
        of_shape.setdefault(_shape(sentence), []).append(sentence)
    for shape, sentences in sorted(of_shape.items(), key=lambda item: -len(item[0])):  # whole sentences before parts
        found = [match[0] for match in re.finditer(shape, text)]
        for wanted, sentence in zip(cycle(sentences), found, strict=False):  # in the order of the datasets
            if sentence != wanted:
                yield Difference(file, "caption", repr(wanted), repr(sentence))
        text = re.sub(shape, " … ", text)
    for left in NUMBER.finditer(text):
        around = text[max(0, left.start() - 30) : left.end() + 30]
        yield Difference(file, f"text {around!r}", "a number that follows from the bundle", repr(left[0]))


def _prose(tex: str) -> str:
    """Returns what LaTeX prints outside tables, with its comments, in which names stand as they are."""
    lines = [re.split(r"(?<!\\)%", line, maxsplit=1) for line in tex.splitlines()]
    comments = [LAYOUT.sub(" ", comment) for _, *own in lines for comment in own]
    return _one_line(" ".join([*comments, plain("\n".join(line for line, *_ in lines))]))


def _quoted(document: Document) -> set[str]:
    """Returns the words of others that may hold digits: names, titles, notes and signatures."""
    words = {document["title"], document["board"], document["signature"], *TERMS}
    words |= {metric_title(document, metric) for metric in document["metrics"]}
    for header in document["headers"]:
        words |= {header["dataset"], header["signature"], *header["warnings"], *header["labels"]}
    words |= {name for entry in document["entries"] for name in (name_of(entry), entry["predictor"])}
    return {word for word in words if word}


def _shape(sentence: str) -> str:
    """Returns a pattern of a sentence whatever its numbers are."""
    words = map(re.escape, NUMBER.split(sentence))
    return NUMBER.pattern.join(word.replace(r"\ ", r"\s+") for word in words)


def _primary(dataset: str, document: Document) -> str:
    return metric_title(document, _header(dataset, document)["metric"])


def _header(dataset: str, document: Document) -> Document:
    return next(header for header in document["headers"] if header["dataset"] == dataset)


def _close(text: str) -> str:
    """Returns text without spaces, which tables set as they like."""
    return "".join(text.split())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _for_label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._:-]+", "-", name)
