"""Foreign text in every format: nothing that a terminal, a spreadsheet, a browser or TeX would act on."""

from __future__ import annotations

import csv
import re
import unicodedata
from io import StringIO

import pytest

from harness.export.escape import (
    escape_csv,
    escape_markdown,
    latex_breakable,
    latex_escape,
    markdown_code,
    one_line,
)


def test_one_line_keeps_words_and_drops_what_acts() -> None:
    assert one_line("two\r\nlines\u2028and\ta \x1b[31mred\x9b0m\u202e \ud800.\x00 ") == "two lines and a [31mred0m ."
    assert one_line("e\u0301 情 Ł") == "é 情 Ł"


def test_no_control_character_survives_any_escape(hostile_texts: tuple[str, ...]) -> None:
    for escape in (one_line, escape_csv, escape_markdown, markdown_code, latex_escape, latex_breakable):
        for text in (*hostile_texts, "".join(map(chr, [*range(0x250), *range(0x2000, 0x2070), 0xFEFF]))):
            assert not [c for c in escape(text) if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", " =1", "\x00=1", "＝1", '=HYPERLINK("x")']
)
def test_spreadsheets_see_formulas_as_text(text: str) -> None:
    assert escape_csv(text).startswith("'")


def test_csv_text_that_is_no_formula_stays() -> None:
    assert escape_csv("few-shot[k=8]") == "few-shot[k=8]"
    assert escape_csv("") == ""


def test_markdown_gives_back_the_text_when_read_as_markdown(hostile_texts: tuple[str, ...]) -> None:
    for text in hostile_texts:
        escaped = escape_markdown(text)
        assert not re.search(r"(?<!\\)(\\\\)*[`*_\[|~#$]", escaped), "an unescaped sign of Markdown"
        assert "<" not in escaped
        assert not re.search(r"&(?!amp;|lt;|gt;)", escaped)
        unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped)
        assert unescaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == one_line(text)


@pytest.mark.parametrize(
    ("text", "code"), [("a|b", "`a|b`"), ("a`b", "``a`b``"), ("`a``", "``` `a`` ```"), ("a\n`b`", "`` a `b` ``")]
)
def test_code_spans_cannot_be_left(text: str, code: str) -> None:
    assert markdown_code(text) == code


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b & 100% #1 {x}", r"a\_b \& 100\% \#1 \{x\}"),
        (r"$x$ ~^\y", r"\$x\$ \textasciitilde{}\textasciicircum{}\textbackslash{}y"),
        ('<a> | "q"', r"\textless{}a\textgreater{} \textbar{} \textquotedbl{}q\textquotedbl{}"),
        ("é ß ő Ł Ž", "é ß ő Ł Ž"),
        ("情 Ħ 😀", r"\texttt{U+60C5} \texttt{U+0126} \texttt{U+1F600}"),
        ("1–3 a--b ---", "1--3 a-{}-b -{}-{}-"),
        ("α ±", r"$\alpha$ $\pm$"),
        ("[x] * [y]", "{[}x] * [y]"),
        ("*", "{*}"),
        ("", ""),
    ],
)
def test_latex_typesets_the_text(text: str, latex: str) -> None:
    assert latex_escape(text) == latex


def test_latex_has_no_command_but_ours(hostile_texts: tuple[str, ...]) -> None:
    for text in hostile_texts:
        commands = set(re.findall(r"\\([a-zA-Z]+)", latex_escape(text)))
        assert all(command.startswith("text") or command == "alpha" for command in commands)


def test_signatures_may_continue_on_the_next_line() -> None:
    assert latex_breakable("wF1|n:2/1|f[a=1,b]") == (
        r"wF1\textbar{}\softbreak{}n:2/1\textbar{}\softbreak{}f[\softbreak{}a=\softbreak{}1,\softbreak{}b]"
    )
    assert latex_breakable("a ; b|") == r"a ;\softbreak{} b\textbar{}"


def test_escaped_csv_is_one_cell(hostile_texts: tuple[str, ...]) -> None:
    file = StringIO()
    csv.writer(file).writerow([escape_csv(text) for text in hostile_texts])
    assert len(file.getvalue().splitlines()) == 1
