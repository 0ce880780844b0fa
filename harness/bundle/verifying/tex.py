"""Reads LaTeX back: what is printed in it, without the commands around, and the cells of its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

LAYOUT = re.compile(
    r"\\def\\softbreak\{\\hfil\\penalty0\\hfilneg\}|\\setlength\{\\\w+\}\{[\d.]+(?:pt|em)\}|\\(?:sbox|usebox|wd)\s?0"
    r"|\\addlinespace\[\d+pt\]|\\hangindent=1em|\\(?:label|ref|usepackage|input|includegraphics|verbatiminput|hypersetup)"
    r"(?:\[[^]]*\])?\{[^}]*\}|\\cmidrule\(\w+\)\{\d+-\d+\}|\\(?:begin|end)\{[a-z*]+\}(?:\[\w+\])?"
)
"""Commands whose digits are measures and names, and are not printed."""

COMMANDS = {
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<", "textgreater": ">",
    "textbar": "|", "textquotedbl": '"', "textasciigrave": "`", "textquoteleft": "‘", "textquoteright": "’",
    "textquotedblleft": "“", "textquotedblright": "”", "ldots": "…", "textdagger": "†", "pm": "±", "times": "×",
    "alpha": "α", "Delta": "Δ", "softbreak": "", "mathrm": "",
}  # fmt: skip
"""Commands that print a sign, and some that print nothing; others are taken for formatting."""

TOKEN = re.compile(
    r"\\texttt\{U\+(?P<code>[0-9A-F]{4,6})\}|\\(?P<command>[A-Za-z]+)(?:\{\}|\*|[ \t]*)|\\(?P<sign>.)|(?P<dash>-{2,3})"
    r"|(?P<join>\{\})|(?P<markup>[{}$])",
    re.DOTALL,
)


def plain(tex: str) -> str:
    """Returns what LaTeX prints, as one line."""
    return " ".join(TOKEN.sub(_printed, LAYOUT.sub(" ", tex)).split())


def _printed(token: re.Match[str]) -> str:
    if token["code"]:
        return chr(int(token["code"], 16))
    if token["command"]:
        return COMMANDS.get(token["command"], " ")
    if token["sign"]:
        return token["sign"] if token["sign"] in "{}$%&#_" else " "
    if token["dash"]:
        return "–" if token["dash"] == "--" else "—"
    return ""


@dataclass(frozen=True)
class Cell:
    """What stands in one or several columns of a table."""

    column: int
    """The first of them, from 0."""
    tex: str
    span: int = 1

    @property
    def text(self) -> str:
        """What is printed."""
        return plain(self.tex)


@dataclass(frozen=True)
class Grid:
    """One `tabular`."""

    label: str
    """Of the table around it."""
    heads: list[list[Cell]]
    rows: list[list[Cell]]


def read_tables(tex: str) -> tuple[list[Grid], str]:
    """Returns the tables of a document, and the rest of it without them."""
    grids, rest, start = [], [], 0
    for found in re.finditer(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", tex, re.DOTALL):
        rest.append(tex[start : found.start()])
        start = found.end()
        label = re.findall(r"\\label\{tab:([^}]*)\}", tex[: found.start()])
        body = found[1].partition("\\toprule")[2].partition("\\bottomrule")[0]
        head, _, lines = body.partition("\\midrule")
        grids.append(Grid(label[-1] if label else "", _rows(head), _rows(lines)))
    return grids, " ".join([*rest, tex[start:]])


def _rows(tex: str) -> list[list[Cell]]:
    rows = []
    for line in _split(LAYOUT.sub(" ", tex), "\\\\"):
        cells: list[Cell] = []
        for part in _split(line, "&"):
            spanned = re.fullmatch(r"\s*\\multicolumn\{(\d+)\}\{[^}]*\}\{(.*)\}\s*", part, re.DOTALL)
            place = cells[-1].column + cells[-1].span if cells else 0
            cells.append(Cell(place, spanned[2], int(spanned[1])) if spanned else Cell(place, part))
        if any(cell.text for cell in cells):
            rows.append(cells)
    return rows


def _split(tex: str, separator: str) -> list[str]:
    """Returns the parts of TeX between separators that stand in no braces."""
    parts, depth, start, i = [], 0, 0, 0
    while i < len(tex):
        if depth == 0 and tex.startswith(separator, i):
            parts.append(tex[start:i])
            i += len(separator)
            start = i
            continue
        depth += {"{": 1, "}": -1}.get(tex[i], 0)
        i += 2 if tex[i] == "\\" else 1
    return [*parts, tex[start:]]
