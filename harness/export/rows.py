"""From a leaderboard to the words and digits that its tables for people share.

Owns what stands in a cell, a column head or a caption. Text stays raw here: each format escapes it in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.export import numbers
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard
from harness.metrics import METRICS

CORRECTIONS = {
    "holm": "Holm correction",
    "bonferroni": "Bonferroni correction",
    "benjamini-hochberg": "Benjamini–Hochberg correction",
    "max-t": "step-down max-T correction",
    "none": "no correction",
}
"""Names of corrections in captions."""

SCOPES = {
    "procedure": "training procedure (dialogues and seeds vary)",
    "checkpoint": "these checkpoints (only dialogues vary)",
}
"""What a scope speaks of, in captions."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as it is printed; "" where a format prints nothing, `numbers.MISSING` where it prints a dash."""

    predictor: str
    """Raw: the only cell besides `context` and `letters` that can hold foreign text."""
    rank: str
    score: str
    interval: str
    half_width: str
    letters: str
    seeds: str
    coverage: str
    context: str
    """With the modalities beyond text: "past +audio"."""
    others: tuple[str, ...]
    """The secondary metrics, in the order of the board."""
    best: bool
    top: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One dataset as it is printed, best entry first."""

    header: DatasetHeader
    rows: tuple[Row, ...]
    size: str
    """What the scores rest on: "2,610 utterances in 280 dialogues, 5 seeds"."""


def make_tables(board: Leaderboard) -> tuple[Table, ...]:
    """Returns the tables of a board, one a dataset."""
    return tuple(_table(board, header) for header in board.datasets)


def other_titles(board: Leaderboard) -> tuple[str, ...]:
    """Returns the column heads of the secondary metrics."""
    return tuple(
        METRICS[name].title if name in METRICS else name.replace("f1:", "F1 ", 1).replace("_", " ")
        for name in board.metrics[1:]
    )


def describe_scores(board: Leaderboard) -> str:
    """Returns what the numbers are: "wF1 in percent, mean over seeds, with 95% intervals"."""
    mean = ", mean over seeds," if any(entry.n_seeds > 1 for entry in board.entries) else ""
    return f"{board.metric_title} in percent{mean} with {numbers.level(board.alpha)} intervals"


def describe_tests(board: Leaderboard) -> str:
    """Returns the sentences on how the differences were tested, without their full stop."""
    scope = f"Scope: {SCOPES.get(board.scope, board.scope)}"
    if not board.comparisons:
        return f"No pair was tested. {scope}"
    drawn = f" with {board.n_resamples:,} resamples (seed {board.seed})" if board.n_resamples else ""
    correction = CORRECTIONS.get(board.correction, f"correction {board.correction}")
    family = "all pairs" if len(board.datasets) == 1 else "all pairs of a dataset"
    return f"Tests: {board.test_title}{drawn}, {correction} over {family}, α = {board.alpha:g}. {scope}"


def _table(board: Leaderboard, header: DatasetHeader) -> Table:
    entries = board.of_dataset(header.dataset)
    seeds = numbers.count_range([entry.n_seeds for entry in entries], "seed")
    size = f"{header.n_utterances:,} utterances in {header.n_dialogues:,} dialogues, {seeds}"
    return Table(header, tuple(_row(entry, board) for entry in entries), size)


def _row(entry: Entry, board: Leaderboard) -> Row:
    beyond_text = [f"+{modality}" for modality in entry.modalities if modality != "text"]
    return Row(
        predictor=entry.predictor,
        rank=numbers.rank_set(entry.rank_low, entry.rank_high),
        score=numbers.percent(entry.score),
        interval=numbers.interval(entry.low, entry.high),
        half_width=numbers.half_width(entry.score, entry.low, entry.high),
        letters=entry.letters or numbers.MISSING,
        seeds=str(entry.n_seeds),
        coverage=numbers.coverage(entry.coverage),
        context=" ".join([entry.context, *beyond_text]),
        others=tuple(numbers.percent(entry.metrics.get(name, float("nan"))) for name in board.metrics[1:]),
        best=entry.best,
        top=entry.top,
    )
