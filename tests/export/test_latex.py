"""LaTeX: its text, and what pdfLaTeX makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.export import export_leaderboard
from harness.leaderboard.leaderboard import Leaderboard

Typeset = Callable[..., str]


def to_latex(board: Leaderboard) -> str:
    return export_leaderboard(board, "latex")


@pytest.mark.parametrize("options", ["a4paper", "a4paper,twocolumn", "letterpaper,12pt"])
def test_tables_compile_and_stay_on_the_page(
    small_board: Leaderboard, two_boards_in_one: Leaderboard, typeset: Typeset, options: str
) -> None:
    log = typeset(to_latex(small_board) + to_latex(two_boards_in_one), options)
    assert "Overfull" not in log
    assert "Missing character" not in log


def test_a_very_wide_table_stays_on_the_page(two_boards_in_one: Leaderboard, typeset: Typeset) -> None:
    first, *others = two_boards_in_one.entries
    name = "few-shot[k=8,model=some-organisation/some-long-model-name-7b-instruct,template=v3]"
    metrics = ("weighted_f1", "accuracy", "macro_f1", "micro_f1", "f1:joy", "f1:anger", "f1:neutral")
    board = replace(two_boards_in_one, entries=(replace(first, predictor=name), *others), metrics=metrics)
    assert "Overfull" not in typeset(to_latex(board))


def test_hostile_text_compiles(hostile_board: Leaderboard, typeset: Typeset) -> None:
    log = typeset(to_latex(hostile_board))
    assert "Missing character" not in log


def test_every_latin_letter_and_every_ascii_sign_compiles(small_board: Leaderboard, typeset: Typeset) -> None:
    signs = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x250), *range(0x2010, 0x2040)]))
    log = typeset(to_latex(replace(small_board, title=" ".join(signs))))
    assert "Missing character" not in log


def test_every_tied_best_is_bold_and_the_top_group_underlined(small_board: Leaderboard) -> None:
    text = to_latex(small_board)
    assert text.count(r"\underline{\textbf{61.45}}") == 2
    assert r"roberta-large & \underline{60.31}" in text
    name = "few-shot[k=8,model=tiny]"
    cells = r"57.12 & {\footnotesize [54.9, 59.3]} & 4 & b & $-$4.33 & 0.002 & 99.9 & 58.12 & 42.12 \\"
    assert f"{name} & {cells}" in text
    assert r"majority & 31.27 &  & -- & -- & $-$30.18 & -- & 100.0 & 48.12 & -- \\" in text


def test_coverage_is_shown_where_some_row_is_not_whole(small_board: Leaderboard) -> None:
    assert r"$p_{\mathrm{adj}}$ & Cover. &" in to_latex(small_board)
    assert "Cover.: percent of utterances" in to_latex(small_board)
    whole = tuple(replace(entry, coverage=1.0) for entry in small_board.entries)
    assert "Cover." not in to_latex(replace(small_board, entries=whole))


def test_no_limit_on_rows(small_board: Leaderboard) -> None:
    many = tuple(replace(small_board.entries[0], predictor=f"model-{i:03}") for i in range(100))
    assert len(re.findall(r"^model-\d+ & ", to_latex(replace(small_board, entries=many)), re.MULTILINE)) == 100


def test_caption_says_what_the_numbers_are(small_board: Leaderboard) -> None:
    text = to_latex(small_board)
    caption = text[text.index(r"\caption") : text.index(r"\label")].replace(r"\softbreak{}", "")
    for part in (
        "wF1 in percent", "95\\% intervals", "t-test over dialogues and seeds", "Holm correction", r"$\alpha$ = 0.05",
        "training procedure", "2,610 utterances in 280 dialogues", "1--5 seeds", r"wF1\textbar{}data:meld@3f2a9c1b",
    ):  # fmt: skip
        assert part in caption
    assert r"\label{tab:meld}" in text
    assert r"\usepackage{booktabs}" in text


def test_each_dataset_has_a_table_of_its_own(two_boards_in_one: Leaderboard) -> None:
    text = to_latex(two_boards_in_one)
    assert re.findall(r"\\label\{(.*)\}", text) == ["tab:both-meld", "tab:both-emorynlp"]
    assert re.findall(r"\\caption\[\{(.*?)\}\]", text) == ["MELD and EmoryNLP: meld", "MELD and EmoryNLP: emorynlp"]
    for header, table in zip(two_boards_in_one.datasets, text.split(r"\end{table}")[:-1], strict=True):
        body = table[table.index(r"\midrule") : table.index(r"\bottomrule")].splitlines()[1:]
        assert [line.split(" & ")[0] for line in body] == [
            entry.predictor for entry in two_boards_in_one.of_dataset(header.dataset)
        ]


def test_a_label_has_no_special_character(hostile_board: Leaderboard) -> None:
    label = re.search(r"\\label\{(.*)\}", to_latex(hostile_board))
    assert label is not None
    assert re.fullmatch(r"tab:[A-Za-z0-9._:-]+", label[1])
