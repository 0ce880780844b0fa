"""Hand-made leaderboards: a small one, one of two datasets with a missing cell, and one full of hostile text."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from harness.leaderboard.leaderboard import (
    Average,
    Averages,
    DatasetHeader,
    Entry,
    LabelScore,
    Leaderboard,
    PairComparison,
)

HOSTILE = (
    r"a_b & 100% #1 {x} ~^\ é 情 <script> |",
    "two\nlines\tand \x1b[31mred\x1b[0m \u202eright to left",
    '=HYPERLINK("http://example.org","click")',
    "[x](javascript:alert) **bold** `code` $y$ --- ,, ''",
    "[red]markup[/red] :smile: \\end{table} \\\\ \\input{x}",
    "* starred Ħ Ł ß ő ﬁ 😀 α “q” Привет",
    "",
)


def make_entry(predictor: str, dataset: str, score: float, half: float, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "predictor": predictor,
        "dataset": dataset,
        "score": score,
        "se": half / 2,
        "se_dialogue": half / 2.5,
        "se_seed": half / 4,
        "se_interaction": half / 8,
        "low": round(score - half, 10),
        "high": round(score + half, 10),
        "rank_low": 1,
        "rank_high": 1,
        "letters": "a",
        "top": False,
        "to_top": 0.0,
        "to_top_low": None,
        "to_top_high": None,
        "to_top_p_adjusted": None,
        "to_top_detectable": None,
        "best": False,
        "n_seeds": 5,
        "coverage": 1.0,
        "context": "past",
        "modalities": ("text",),
        "metrics": {"weighted_f1": score, "accuracy": round(score + 0.01, 10), "macro_f1": round(score - 0.15, 10)},
        "runs": (f"runs/{dataset}/test/{predictor}/seed0-0123abcd",),
    }
    return Entry(**(fields | changes))


def behind(difference: float, half: float, p_adjusted: float) -> dict[str, float]:
    """Returns the fields of an entry that compare it with the leader."""
    low, high = round(difference - half, 10), round(difference + half, 10)
    fields = {"to_top": difference, "to_top_low": low, "to_top_high": high}
    return fields | {"to_top_p_adjusted": p_adjusted, "to_top_detectable": round(1.5 * half, 10)}


def make_header(dataset: str, n_utterances: int, n_dialogues: int, **changes: Any) -> DatasetHeader:
    fields: dict[str, Any] = {
        "dataset": dataset,
        "split": "test",
        "fingerprint": "3f2a9c1b" * 8,
        "labels": ("neutral", "joy", "anger"),
        "n_utterances": n_utterances,
        "n_dialogues": n_dialogues,
        "metric": "weighted_f1",
        "unit": "dialogue",
        "n_clusters": n_dialogues,
        "effective_clusters": n_dialogues * 0.8125,
        "n_pairs": 6,
        "critical_value": 2.638,
        "median_pair_se": 0.0094,
        "detectable": 0.026335,
        "detectable_adjusted": 0.032709,
        "signature": (
            f"wF1|data:{dataset}@3f2a9c1b|split:test|n:{n_utterances}/{n_dialogues}|labels:3|ctx:full,none,past"
            "|unparsed:wrong|scope:procedure|unit:dialogue|ci:t|test:satterthwaite|adj:holm|seeds:5|v:0.1.0"
        ),
        "warnings": (),
    }
    return DatasetHeader(**(fields | changes))


def make_average(predictor: str, score: float, half: float, letters: str, **changes: Any) -> Average:
    fields: dict[str, Any] = {
        "predictor": predictor, "score": score, "se": half / 2, "low": round(score - half, 10),
        "high": round(score + half, 10), "rank_low": 1, "rank_high": 2, "letters": letters, "top": letters == "a",
        "best": False, "metrics": {"weighted_f1": score, "accuracy": round(score + 0.01, 10)},
    }  # fmt: skip
    return Average(**(fields | changes))


def make_label_scores(entries: Sequence[Entry], headers: Sequence[DatasetHeader]) -> tuple[LabelScore, ...]:
    """Makes up F1 of every label: 0.5 of the first entry and label, and one point less a place further."""
    scores = []
    for header in headers:
        own = [entry for entry in entries if entry.dataset == header.dataset]
        for i, entry in enumerate(own):
            for j, label in enumerate(header.labels):
                f1 = round(0.5 - 0.01 * (i + j), 10)
                ends = (f1, 0.01, round(f1 - 0.02, 10), round(f1 + 0.02, 10))
                scores.append(
                    LabelScore(
                        header.dataset, entry.predictor, label, 1000 - j, *ends, "a" if i < 2 else "b", i < 2, not i
                    )
                )
    return tuple(scores)


def connect_all_pairs(board: Leaderboard) -> Leaderboard:
    """Returns the board with every pair of every dataset compared."""
    made = []
    for header in board.datasets:
        for a, b in combinations(board.of_dataset(header.dataset), 2):
            difference = round(a.score - b.score, 10)
            p = 0.0004 if difference > 0.02 else 0.31
            made.append(
                PairComparison(
                    header.dataset,
                    a.predictor,
                    b.predictor,
                    difference,
                    0.01,
                    difference - 0.02,
                    difference + 0.02,
                    p,
                    p,
                )
            )
    return replace(board, comparisons=tuple(made))


@pytest.fixture
def all_pairs() -> Callable[[Leaderboard], Leaderboard]:
    return connect_all_pairs


@pytest.fixture
def hostile_texts() -> tuple[str, ...]:
    return HOSTILE


@pytest.fixture
def small_board() -> Leaderboard:
    """One dataset; two tied best, a third that cannot be told apart, one without tests, one with lost answers."""
    entries = (
        make_entry("dialogue-rnn", "meld", 0.614512, 0.0241, rank_high=3, top=True, best=True, context="full"),
        make_entry("graph-net[layers=2]", "meld", 0.614488, 0.0196, rank_high=3, top=True, best=True,
                   **behind(-0.000024, 0.01822, 1.0)),
        make_entry("roberta-large", "meld", 0.6031, 0.0204, rank_high=3, letters="ab", top=True,
                   modalities=("text", "audio"), **behind(-0.011412, 0.019, 0.4713)),
        make_entry("few-shot[k=8,model=tiny]", "meld", 0.5712, 0.0222, rank_low=4, rank_high=4, letters="b",
                   coverage=0.99961, **behind(-0.043312, 0.0333, 0.002)),
        make_entry(
            "majority", "meld", 0.3127, math.nan, low=math.nan, high=math.nan, se=math.nan, se_dialogue=math.nan,
            se_seed=math.nan, se_interaction=math.nan, to_top=-0.301812, rank_low=None, rank_high=None,
            letters="", n_seeds=1, context="none",
            metrics={"weighted_f1": 0.3127, "accuracy": 0.4812, "macro_f1": math.nan},
        ),
    )  # fmt: skip
    pairs = (
        PairComparison("meld", "dialogue-rnn", "graph-net[layers=2]", 0.000024, 0.0093, -0.0182, 0.01824, 0.9979, 1.0),
        PairComparison(
            "meld", "dialogue-rnn", "few-shot[k=8,model=tiny]", 0.043312, 0.012, 0.01, 0.0766, 1 / 3 / 1000, 0.002
        ),
    )
    warning = "majority takes no part in the tests: 3 seeds or more are needed."
    return Leaderboard(
        board="meld", title="MELD, seven emotions", metric="weighted_f1", metric_title="wF1",
        metrics=("weighted_f1", "accuracy", "macro_f1"),
        datasets=(make_header("meld", 2610, 280, warnings=(warning,)),), entries=entries, comparisons=pairs,
        scope="procedure", test="satterthwaite", test_title="t-test over dialogues and seeds (Satterthwaite)",
        correction="holm", alpha=0.05, n_resamples=None, seed=0, version="0.1.0",
    )  # fmt: skip


@pytest.fixture
def two_boards_in_one(small_board: Leaderboard) -> Leaderboard:
    """Two datasets: graph-net is missing on the second, word-counts on the first."""
    second = (
        make_entry("roberta-large", "emorynlp", 0.3871, 0.0312, rank_high=2, top=True, best=True),
        make_entry("dialogue-rnn", "emorynlp", 0.3764, 0.0287, rank_high=2, top=True, **behind(-0.0107, 0.02, 0.52)),
        make_entry(
            "few-shot[k=8,model=tiny]",
            "emorynlp",
            0.3312,
            0.03,
            rank_low=3,
            rank_high=4,
            letters="b",
            **behind(-0.0559, 0.03, 0.0004),
        ),
        make_entry(
            "word-counts",
            "emorynlp",
            0.3256,
            0.0275,
            rank_low=3,
            rank_high=4,
            letters="b",
            n_seeds=1,
            **behind(-0.0615, 0.03, 0.0002),
        ),
    )
    few = "few-shot[k=8,model=tiny]"
    averages = Averages(
        rows=(
            make_average("dialogue-rnn", 0.495456, 0.0187, "a", best=True),
            make_average("roberta-large", 0.4951, 0.0186, "a"),
            make_average(few, 0.4512, 0.0187, "b", rank_low=3, rank_high=3),
        ),
        comparisons=(
            PairComparison("", "dialogue-rnn", "roberta-large", 0.000356, 0.008, -0.0154, 0.0161, 0.9613, 0.9613),
            PairComparison("", "dialogue-rnn", few, 0.044256, 0.01, 0.0245, 0.0639, 0.0004, 0.0012),
            PairComparison("", "roberta-large", few, 0.0439, 0.01, 0.0242, 0.0635, 0.0005, 0.0012),
        ),
        test="stratified-sign-flip", test_title="studentised sign-flip test within each dataset", correction="max-t",
    )  # fmt: skip
    headers = (*small_board.datasets, make_header("emorynlp", 984, 85))
    return replace(
        small_board,
        averages=averages, label_scores=make_label_scores((*small_board.entries, *second), headers),
        board="both", title="MELD and EmoryNLP", metrics=("weighted_f1", "accuracy"),
        datasets=headers, entries=(*small_board.entries, *second),
        test="sign-flip", test_title="studentised sign-flip test over dialogues", correction="max-t", n_resamples=10000,
    )  # fmt: skip


@pytest.fixture
def hostile_board(small_board: Leaderboard) -> Leaderboard:
    """Every text that somebody else chooses is hostile."""
    header = make_header(
        HOSTILE[0],
        10,
        2,
        metric=HOSTILE[2],
        unit=HOSTILE[1],
        split=HOSTILE[1],
        labels=HOSTILE,
        warnings=HOSTILE,
        signature="|".join(HOSTILE[::-1]),
    )
    entries = tuple(
        make_entry(
            name, header.dataset, 0.5, 0.1, letters=name, context=name, modalities=(name, "x"), metrics={name: 0.5}
        )
        for name in HOSTILE
    )
    averages = Averages((), (), HOSTILE[0], HOSTILE[1], "holm")
    return replace(
        small_board,
        averages=averages, label_scores=make_label_scores(entries, [header]),
        board=HOSTILE[0], title=HOSTILE[4], metric=HOSTILE[2], metric_title=HOSTILE[0],
        metrics=(HOSTILE[2], HOSTILE[0], HOSTILE[1]), datasets=(header,), entries=entries, comparisons=(),
        scope=HOSTILE[3], test_title=HOSTILE[0], correction=HOSTILE[5], version=HOSTILE[4],
    )  # fmt: skip


DOCUMENT = r"""\documentclass[%s]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{booktabs}
\usepackage{graphicx}
%s
\begin{document}
%s
\end{document}
"""


@pytest.fixture
def hostile_datasets(hostile_board: Leaderboard) -> Leaderboard:
    """Two hostile datasets with averages, label scores and all pairs."""
    (header,) = hostile_board.datasets
    headers = (header, replace(header, dataset=HOSTILE[4]))
    entries = tuple(replace(entry, dataset=own.dataset) for own in headers for entry in hostile_board.entries)
    board = connect_all_pairs(replace(hostile_board, datasets=headers, entries=entries))
    rows = tuple(make_average(name, 0.5, 0.1, name, metrics={HOSTILE[2]: 0.5}) for name in HOSTILE)
    pairs = tuple(replace(pair, dataset="") for pair in board.comparisons if pair.dataset == header.dataset)
    return replace(
        board,
        metrics=HOSTILE[2:3], entries=tuple(replace(e, metrics={HOSTILE[2]: 0.5}) for e in entries),
        averages=Averages(rows, pairs, HOSTILE[0], HOSTILE[1], "holm"), correction="holm",
        label_scores=make_label_scores(entries, headers),
    )  # fmt: skip


@pytest.fixture
def typeset(tmp_path: Path) -> Callable[..., str]:
    """Returns the log of pdfLaTeX on a document with given tables; skips where there is none, fails on an error."""
    if shutil.which("pdflatex") is None:
        reason = "pdflatex is absent: apt-get install texlive-latex-base texlive-latex-recommended"
        if os.environ.get("ERC_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    def run(tables: str, options: str = "a4paper", preamble: str = "") -> str:
        (tmp_path / "table.tex").write_text(DOCUMENT % (options, preamble, tables), encoding="utf-8")
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "table.tex"],
            cwd=tmp_path, capture_output=True, check=False, timeout=240,
        )  # fmt: skip
        log = (tmp_path / "table.log").read_text(encoding="utf-8", errors="replace")
        assert done.returncode == 0, [line for line in log.splitlines() if line.startswith(("!", "l."))]
        assert (tmp_path / "table.pdf").stat().st_size > 0
        return log

    return run
