"""From a leaderboard to the words and digits that its tables for people share.

Owns what stands in a cell, a column head or a caption. Text stays raw here: each format escapes it in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from harness.export import numbers
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard
from harness.metrics import metric_title

if TYPE_CHECKING:
    from harness.slices.atlas import Atlas

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

FEW = 6
"""Systems whose standard errors are listed one by one under a table."""

LEGEND = (
    "Rank: the places that the tests leave open. Predictors that share a letter are not separable. †: not separable "
    "from the best. Δ top: points to the best tested predictor, p adj: its p-value corrected over all pairs. MDE80: "
    "smallest true difference found with 80% power. What each column claims: erc-harness explain."
)
"""What the columns of a table are, for console and Markdown."""


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
    to_top: str
    """Points to the leader; a dash for the leader."""
    p_adjusted: str
    """Of that difference, corrected."""
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
    metric_title: str
    full_coverage: bool
    """Whether every target has a usable label in every row: the column is then left out."""
    power: str
    """What the tests rest on and can find, in one sentence."""
    spread: str
    """Standard errors by source, in one sentence; "" where seeds do not count."""


def make_tables(board: Leaderboard) -> tuple[Table, ...]:
    """Returns the tables of a board, one a dataset."""
    return tuple(_table(board, header) for header in board.datasets)


def other_titles(board: Leaderboard) -> tuple[str, ...]:
    """Returns the column heads of the secondary metrics."""
    return tuple(metric_title(name) for name in board.metrics[1:])


def describe_scores(board: Leaderboard) -> str:
    """Returns what the numbers are: "wF1 in percent, mean over seeds, with 95% intervals"."""
    mean = ", mean over seeds," if any(entry.n_seeds > 1 for entry in board.entries) else ""
    return f"{board.metric_title} in percent{mean} with {numbers.level(board.alpha)} intervals"


def describe_tests(board: Leaderboard) -> str:
    """Returns the sentences on how the differences were tested, without their full stop."""
    scope = f"Scope: {SCOPES.get(board.scope, board.scope)}"
    if not board.comparisons:
        return f"No pair was tested. {scope}"
    family = "all pairs" if len(board.datasets) == 1 else "all pairs of a dataset"
    return f"{describe_test(board, board.test_title, board.correction, family)}. {scope}"


def describe_test(of: Leaderboard | Atlas, title: str, correction: str, family: str) -> str:
    """Returns how differences were tested, and over what their p-values are corrected, without a full stop.

    Args:
        of: has resamples, seed and level.
        title: of the test.
        correction: its name.
        family: in words, such as "all pairs".
    """
    drawn = f" with {of.n_resamples:,} resamples (seed {of.seed})" if of.n_resamples else ""
    corrected = CORRECTIONS.get(correction, f"correction {correction}")
    return f"Tests: {title}{drawn}, {corrected} over {family}, α = {of.alpha:g}"


def describe_power(header: DatasetHeader) -> str:
    """Returns what the tests of a dataset rest on and what they can find, in one sentence."""
    unit = f"{header.unit}{'' if header.n_clusters == 1 else 's'}"
    rests = f"{header.n_clusters:,} {unit} worth {header.effective_clusters:.0f} equal ones"
    if header.detectable is None or header.detectable_adjusted is None:
        return rests
    single, adjusted = (numbers.percent(share, 1) for share in (header.detectable, header.detectable_adjusted))
    pairs = f", {adjusted} for all {header.n_pairs} pairs" if header.detectable_adjusted > header.detectable else ""
    return f"{rests}; MDE80 (median pair): {single} points for one test{pairs}"


def describe_seeds(entries: tuple[Entry, ...]) -> str:
    """Returns the standard errors of the entries whose seeds count, by source; "" if there is none."""
    parts = [(e.se_dialogue, e.se_seed, e.se_interaction) for e in entries if e.se_seed > 0]
    names = [e.name for e in entries if e.se_seed > 0]
    if not parts:
        return ""
    if len(parts) > FEW:
        names, parts = [f"median of {len(parts)} systems"], [tuple(median(part) for part in zip(*parts, strict=True))]
    shown = (" | ".join(numbers.percent(part) for part in own) for own in parts)
    listed = "; ".join(f"{name} {split}" for name, split in zip(names, shown, strict=True))
    return f"SE in points, dialogues | seeds | interaction: {listed}"


def _table(board: Leaderboard, header: DatasetHeader) -> Table:
    entries = board.of_dataset(header.dataset)
    seeds = numbers.count_range([entry.n_seeds for entry in entries], "seed")
    return Table(
        header=header,
        rows=tuple(_row(entry, board) for entry in entries),
        size=f"{header.n_utterances:,} utterances in {header.n_dialogues:,} dialogues, {seeds}",
        metric_title=board.metric_title if header.metric == board.metric else metric_title(header.metric),
        full_coverage=all(entry.coverage >= 1 for entry in entries),
        power=describe_power(header),
        spread=describe_seeds(entries),
    )


def _row(entry: Entry, board: Leaderboard) -> Row:
    beyond_text = [f"+{modality}" for modality in entry.modalities if modality != "text"]
    is_leader = entry.to_top == 0 and entry.to_top_p_adjusted is None
    return Row(
        predictor=entry.name,
        rank=numbers.rank_set(entry.rank_low, entry.rank_high),
        score=numbers.percent(entry.score),
        interval=numbers.interval(entry.low, entry.high),
        half_width=numbers.half_width(entry.score, entry.low, entry.high),
        letters=entry.letters or numbers.MISSING,
        to_top=numbers.MISSING if is_leader else numbers.points(entry.to_top),
        p_adjusted=numbers.p_value(entry.to_top_p_adjusted),
        seeds=str(entry.n_seeds),
        coverage=numbers.coverage(entry.coverage),
        context=" ".join([entry.context, *beyond_text]),
        others=tuple(numbers.metric(name, entry.metrics.get(name, float("nan"))) for name in board.metrics[1:]),
        best=entry.best,
        top=entry.top,
    )
