"""The one place where foreign text is made safe for each output format.

Foreign text is everything that a name, a title, a warning or a signature may hold: any Unicode string. Every function
here takes it raw and returns one line. This module knows nothing of tables or leaderboards.
"""

from __future__ import annotations

import re
import unicodedata

from harness.redaction import is_command

_FORMULA_STARTS = tuple("=+-@＝＋－＠")
"""First characters that make a spreadsheet evaluate a cell."""

_MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {character: f"\\{character}" for character in "\\`*_[|~#$"}
)

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "–": "--",
    "—": "---",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "†": r"\textdagger{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "α": r"$\alpha$",
    "Δ": r"$\Delta$",
}
"""What pdfLaTeX would misread, and signs outside its Latin fonts for which it has a command."""

_LATIN_WITHOUT_GLYPH = frozenset("ĦħĸĿŀŉŦŧ")
"""The letters between U+00C0 and U+017E that encoding T1 cannot typeset."""

_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=,)(?=,)|(?<=')(?=')")
"""Between two signs that TeX would join into another one."""

_LATEX_BREAK = re.compile(r"(?<=[|;,=\[])(?=.)")
"""Places where a signature or a name with parameters may continue on the next line."""


def one_line(text: str) -> str:
    """Returns text composed (NFC), white space runs as one space, without control and format characters."""
    composed = unicodedata.normalize("NFC", text)
    kept = (c for c in composed if c.isspace() or not is_command(c))
    return " ".join("".join(kept).split())


def escape_csv(text: str) -> str:
    """Returns text that a spreadsheet shows and does not evaluate: a formula gets a leading apostrophe."""
    safe = one_line(text)
    return f"'{safe}" if safe.startswith(_FORMULA_STARTS) else safe


def escape_markdown(text: str) -> str:
    """Returns text that Markdown shows literally, inside a table too: no link, HTML, emphasis, formula or new cell."""
    return one_line(text).translate(_MARKDOWN)


def markdown_code(text: str) -> str:
    """Returns a Markdown code span of the text, fenced by more backticks than it holds; not for table cells."""
    safe = one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", safe)), default=0))
    pad = " " if safe.startswith("`") or safe.endswith("`") else ""
    return f"{fence}{pad}{safe}{pad}{fence}"


def latex_escape(text: str) -> str:
    r"""Returns LaTeX that typesets the text with pdfLaTeX, `inputenc` utf8 and `fontenc` T1.

    Accented Latin letters stay as they are. A character that pdfLaTeX has no glyph for becomes its code point,
    `\texttt{U+60C5}` for U+60C5, so that the document compiles and nothing is lost silently.
    """
    escaped = _latex(one_line(text))
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped.startswith(("[", "*")) else escaped  # else an argument of \\


def latex_breakable(text: str) -> str:
    r"""Returns `latex_escape` of the text with a line break allowed after each separator (`| ; , = [`).

    The breaks are calls of `\softbreak`, which the document has to define.
    """
    return r"\softbreak{}".join(_latex(piece) for piece in _LATEX_BREAK.split(one_line(text)))


def _latex(text: str) -> str:
    return "{}".join("".join(map(_latex_character, piece)) for piece in _LIGATURE.split(text))


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    is_latin = "À" <= character <= "ž" and character.isalpha() and character not in _LATIN_WITHOUT_GLYPH
    return character if character.isascii() or is_latin else rf"\texttt{{U+{ord(character):04X}}}"
