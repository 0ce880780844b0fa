"""Reading LaTeX back gives what was written into it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bundle.verifying.tex import plain, read_tables
from harness.export.escape import latex_breakable, latex_escape, one_line

HOSTILE = r"a_b & 100% #1 {x} ~^\ é 情 -- ,, '' $5 <b> |c| `d` “e” ±1 × 2 [f=3,g=4] U+0041 ……—–"


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.just(HOSTILE))
def test_escaped_text_reads_as_it_was(text: str) -> None:
    for escape in (latex_escape, latex_breakable):
        assert plain(escape(text)) == one_line(text)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\underline{\textbf{58.65}}", "58.65"),
        (r"{\footnotesize\,$\pm$\,2.1}\textsuperscript{ab}", "± 2.1 ab"),
        (r"$p_{\mathrm{adj}}$", "p_adj"),
        (r"$\Delta$ top", "Δ top"),
        (r"$<$0.001", "<0.001"),
        (r"$-$1.11", "-1.11"),
        (r"\raggedright\hangindent=1em tfidf-svm[\softbreak{}history=\softbreak{}0]", "tfidf-svm[history=0]"),
    ],
)
def test_formatting_prints_nothing(tex: str, text: str) -> None:
    assert "".join(plain(tex).split()) == "".join(text.split())


def test_cells_keep_their_columns() -> None:
    tex = r"""before \label{tab:x-pairs}
\begin{tabular}{lr@{ }lr}
\toprule
A & \multicolumn{2}{c}{B (95\%)} & C\&D \\
\midrule
one & 1 & \shortstack{2\\{\tiny (3)}} & 4 \\ \addlinespace[2pt]
\bottomrule
\end{tabular} after"""
    [grid], rest = read_tables(tex)
    assert grid.label == "x-pairs"
    assert [(cell.column, cell.span, cell.text) for cell in grid.heads[0]] == [
        (0, 1, "A"),
        (1, 2, "B (95%)"),
        (3, 1, "C&D"),
    ]
    assert [cell.text for cell in grid.rows[0]] == ["one", "1", "2 (3)", "4"]
    assert rest.split()[0::2] == ["before", "after"]
