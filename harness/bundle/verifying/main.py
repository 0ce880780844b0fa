"""Checks a whole bundle: its hashes, the board in it, and every number that its LaTeX prints."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

from .appendix import describe_runs
from .difference import Difference
from .evidence import BOARD, COUNTS, RUNS, Document, Evidence, read_evidence, read_text
from .lock import LOCK, check_files, check_runs
from .recompute import recompute
from .tables import NUMBER, check_table
from .tex import plain
from .words import describe_statistics

TABLES, STATISTICS, APPENDIX = "tables", "statistics.tex", "appendix.tex"

TOLERANCE = 1e-8
"""Relative, for the ten digits of `leaderboard.json`."""

BROKEN = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError, TokenError, EOFError,
    RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What reading and computing raise for documents that are no bundle's; numpy parses headers as Python."""

ADDED = ("label_f1", "seed_scores")
"""Fields of recomputed entries that the board does not hold."""


@dataclass(frozen=True)
class Report:
    """What came of a check."""

    n_numbers: int
    """Numbers in LaTeX files that were computed anew, or read again from manifests."""
    differences: list[Difference]


def check_bundle(folder: Path) -> Report:
    """Returns all that does not agree in a bundle; nothing in it is trusted but the counts, and these are hashed."""
    try:
        lock = json.loads(read_text(folder / LOCK))
        found = list(check_files(folder, lock))
    except BROKEN as error:
        return Report(0, [Difference(LOCK, "the file", "hashes of all files", _say(error))])
    try:
        evidence = read_evidence(folder)
        counts = {run: array for arrays in evidence.arrays.values() for run, array in arrays.items()}
        found += check_runs(lock, evidence.runs, counts)
        document = recompute(evidence)
        found += _compare("", document, evidence.document)
        n_numbers, in_tex = _check_tex(folder, lock, document, evidence)
    except BROKEN as error:
        where = f"{BOARD}, {RUNS}, {COUNTS}"
        return Report(0, [*found, Difference(where, "the whole", "what a board can be computed from", _say(error))])
    return Report(n_numbers, [*found, *in_tex])


def main(folder: Path) -> int:
    """Prints what a check finds; returns the exit code."""
    report = check_bundle(folder)
    for difference in report.differences:
        print(difference)
    n = len(report.differences)
    print(f"{n} difference{'' if n == 1 else 's'}" if n else f"verified: {report.n_numbers:,} numbers in LaTeX files")
    return 1 if n else 0


def _check_tex(folder: Path, lock: Document, document: Document, evidence: Evidence) -> tuple[int, list[Difference]]:
    """Returns how many numbers in LaTeX files agree, and those that do not."""
    n_numbers, found = 0, []
    for name in sorted(path.relative_to(folder).as_posix() for path in (folder / TABLES).glob("*.tex")):
        if name not in lock["files"]:
            found.append(Difference(name, "the file", f"its hash in {LOCK}", "none"))
        differences, n = check_table(name, read_text(folder / name), document)
        n_numbers, found = n_numbers + n, [*found, *differences]
    sections = describe_runs(document, evidence.runs, lock)
    appendix = [line for heading, lines in sections for line in (heading, *lines)]
    for name, expected in ((STATISTICS, describe_statistics(document)), (APPENDIX, appendix)):
        differences = list(check_lines(name, read_text(folder / name), expected))
        n_numbers += sum(len(NUMBER.findall(line)) for line in expected) - len(differences)
        found += differences
    return n_numbers, found


def check_lines(name: str, tex: str, expected: list[str]) -> Iterator[Difference]:
    """Yields the lines of LaTeX that do not print what is expected, and lines that are missing or too many."""
    printed = [line for line in map(plain, tex.splitlines()) if line]
    wanted = [" ".join(line.split()) for line in expected]
    for i in range(max(len(printed), len(wanted))):
        ours = wanted[i] if i < len(wanted) else "nothing"
        theirs = printed[i] if i < len(printed) else "nothing"
        if ours != theirs:
            yield Difference(name, f"line {i + 1} of the text", repr(ours), repr(theirs))


def _compare(place: str, expected: Any, found: Any) -> Iterator[Difference]:
    """Yields the values of `leaderboard.json` that are not as recomputed."""
    if isinstance(expected, dict) and isinstance(found, dict):
        of = place + (f" ({found['title'] or found['predictor']})" if "predictor" in found else "")
        for key in found:
            yield from _compare(f"{of} {key}".strip(), expected.get(key), found[key])
    elif isinstance(expected, list | tuple) and isinstance(found, list) and len(expected) == len(found):
        for i, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
            yield from _compare(f"{place}[{i}]", ours, theirs)
    elif isinstance(expected, float) and isinstance(found, float | int):
        if not math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE / 10):
            yield Difference(BOARD, place, f"{expected:.10g}", f"{found:.10g}")
    elif expected != found:
        yield Difference(BOARD, place, repr(expected), repr(found))


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
