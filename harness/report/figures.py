"""Figures of a board for a paper, as PDF and SVG: groups, pairs, labels, cost and seeds. Needs matplotlib.

Each function draws one figure from the entries of one dataset; text is drawn as it is, never as mathematics. The same
board gives the same files: no date is written, and ids in SVG are salted with a constant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import MissingDependencyError
from harness.export import numbers
from harness.export.rows import Table, make_tables
from harness.leaderboard.leaderboard import Entry, Leaderboard
from harness.report.content import letter_groups
from harness.report.systems import SystemFacts, read_systems
from harness.report.tables import name_cell
from harness.store import RunStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg")

WIDTH = 5.5
"""Inches: the text width of a one-column paper."""

LINE = 0.2
"""Inches a system takes."""

INK, ACCENT, SOFT = "#1b2330", "#1f5fbf", "#8a93a3"

STYLE = {
    "font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT, "pdf.fonttype": 42,
    "svg.fonttype": "none", "svg.hashsalt": "erc-harness", "axes.titlesize": 9, "text.parse_math": False,
}  # fmt: skip
"""Settings of matplotlib, in force while a figure is drawn and saved."""


def draw_figures(board: Leaderboard, store: RunStore) -> dict[str, bytes]:
    """Returns the content of each file by name, such as `meld-groups.pdf`; figures without anything to show are absent.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        StoreError: a stored file is missing or corrupt.
        UnknownNameError: a run of the board is not in the store.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingDependencyError.of("matplotlib", "plots", "drawing figures") from error
    systems = read_systems(board, store)
    files = {}
    with rc_context(STYLE):
        for table in make_tables(board):
            entries = board.of_dataset(table.header.dataset)
            facts = [systems[entry.dataset, entry.predictor] for entry in entries]
            for name, draw in FIGURES.items():
                figure = draw(board, table, entries, facts)
                for kind in FORMATS if figure is not None else ():
                    files[f"{_file_name(table.header.dataset)}-{name}.{kind}"] = _save(figure, kind)
    return files


def draw_groups(board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Figure | None:
    """Draws scores with intervals, best on top, and a vertical line for each group that shares a letter."""
    tested = [entry for entry in entries if entry.rank_low is not None]
    if not tested:
        return None
    figure, axes = _lines(tested, f"{table.metric_title} (percent, {numbers.level(board.alpha)} intervals)")
    rows = np.arange(len(tested))
    scores = np.array([entry.score for entry in tested])
    reach = np.array([[e.score - e.low, e.high - e.score] if math.isfinite(e.low) else [0, 0] for e in tested]).T
    axes.errorbar(100 * scores, rows, xerr=100 * reach, fmt="o", color=ACCENT, markersize=3.5, elinewidth=1.2)
    transform = axes.get_yaxis_transform()
    for k, (letter, members) in enumerate(letter_groups(tested)):
        place = [1.03 + 0.025 * k] * len(members)
        axes.plot(place, members, color=INK, linewidth=1.2, marker="o", markersize=2.5, transform=transform, clip_on=False)
        axes.text(place[0], -0.9, letter, ha="center", fontsize=7, transform=transform, clip_on=False)
    return figure


def draw_pairs(board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Figure | None:
    """Draws differences in points, row minus column; bold where the corrected test tells the two apart."""
    pairs = [pair for pair in board.comparisons if pair.dataset == table.header.dataset]
    tested = [entry for entry in entries if entry.rank_low is not None]
    if not pairs:
        return None
    place = {entry.predictor: i for i, entry in enumerate(tested)}
    matrix = np.full((len(tested), len(tested)), np.nan)
    figure, axes = _figure(WIDTH, 1.2 + 0.28 * len(tested))
    for pair in pairs:
        a, b = place[pair.a], place[pair.b]
        matrix[a, b] = 100 * pair.difference
        weight = "bold" if pair.p_adjusted <= board.alpha else "normal"
        axes.text(b, a, numbers.points(pair.difference), ha="center", va="center", fontsize=6, fontweight=weight)
    limit = np.nanmax(np.abs(matrix)) or 1.0
    axes.imshow(matrix, cmap="RdBu", vmin=-1.6 * limit, vmax=1.6 * limit, aspect="auto")
    axes.set_xticks(range(len(tested)), [str(i + 1) for i in range(len(tested))])
    axes.set_yticks(range(len(tested)), [f"{_name(entry)}  {i + 1}" for i, entry in enumerate(tested)])
    axes.set_title(f"Points of {table.metric_title}, row minus column")
    return figure


def draw_labels(board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Figure | None:
    """Draws F1 by label as a heat map, percent, mean over seeds."""
    matrix = np.array([own.label_f1 for own in facts])
    labels = table.header.labels
    figure, axes = _figure(WIDTH, 1.0 + LINE * len(entries))
    axes.imshow(matrix, cmap="Blues", vmin=0, aspect="auto")
    dark = 0.6 * (matrix.max() or 1.0)
    for (row, column), f1 in np.ndenumerate(matrix):
        colour = "white" if f1 > dark else INK
        axes.text(column, row, numbers.percent(float(f1), 1), ha="center", va="center", fontsize=6, color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.set_yticks(range(len(entries)), [_name(entry) for entry in entries])
    return figure


def draw_cost(board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Figure | None:
    """Draws score against parameters, time and price, each with the front of systems that no other beats."""
    axes_of: list[tuple[str, Callable[[SystemFacts], float | None]]] = [
        ("parameters", lambda own: own.n_parameters),
        ("seconds an utterance", lambda own: own.seconds),
        ("US dollars for 1,000 utterances", lambda own: own.usd),
    ]
    points = {
        title: [(cost, 100 * e.score, _name(e)) for e, own in zip(entries, facts, strict=True) if (cost := read(own))]
        for title, read in axes_of
    }
    shown = {title: sorted(own, key=lambda p: (p[0], -p[1])) for title, own in points.items() if own}
    if not shown:
        return None
    figure, all_axes = _figure(WIDTH, 2.4, len(shown))
    for axes, (title, own) in zip(np.atleast_1d(all_axes), shown.items(), strict=True):
        front = pareto_front([(cost, score) for cost, score, _ in own])
        axes.scatter([p[0] for p in own], [p[1] for p in own], s=12, color=SOFT)
        axes.plot(*zip(*(own[i][:2] for i in front), strict=True), color=ACCENT, marker="o", markersize=3.5,
                  linewidth=1, drawstyle="steps-post")  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel(title)
        best = own[front[-1]]
        axes.annotate(best[2], best[:2], xytext=(0, 5), textcoords="offset points", ha="right", fontsize=6)
    np.atleast_1d(all_axes)[0].set_ylabel(f"{table.metric_title} (percent)")
    return figure


def draw_seeds(board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> Figure | None:
    """Draws the score of each run, with the mean as a bar, for systems of several runs."""
    several = [(entry, own) for entry, own in zip(entries, facts, strict=True) if len(own.seeds) > 1]
    if not several:
        return None
    figure, axes = _lines([entry for entry, _ in several], f"{table.metric_title} of single runs (percent)")
    for row, (entry, own) in enumerate(several):
        axes.plot(100 * np.array(own.seed_scores), [row] * len(own.seeds), "o", color=ACCENT, alpha=0.5, markersize=3.5)
        axes.plot(100 * entry.score, row, "|", color=INK, markersize=9)
    return figure


FIGURES: Mapping[
    str, Callable[[Leaderboard, Table, Sequence[Entry], Sequence[SystemFacts]], "Figure | None"]
] = {
    "groups": draw_groups,
    "pairs": draw_pairs,
    "labels": draw_labels,
    "cost": draw_cost,
    "seeds": draw_seeds,
}
"""What is drawn of each dataset, by the ending of its file's name."""


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Returns the places of those (cost, score), sorted by rising cost, that none before them equals or beats."""
    front: list[int] = []
    for i, (_, score) in enumerate(points):
        if not front or score > points[front[-1]][1]:
            front.append(i)
    return front


def _lines(entries: Sequence[Entry], title: str) -> tuple[Figure, Axes]:
    """Returns a figure with one line a system, the first on top, and scores across."""
    figure, axes = _figure(WIDTH, 0.9 + LINE * len(entries))
    axes.set_yticks(range(len(entries)), [_name(entry) for entry in entries])
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.grid(axis="x", color="#d9dee7", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(title)
    return figure, axes


def _figure(width: float, height: float, n_axes: int = 1) -> tuple[Figure, Any]:
    """Returns a figure of a size in inches, without the state of `pyplot`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, n_axes, sharey=True)


def _save(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    metadata = {"CreationDate": None} if kind == "pdf" else {"Date": None}
    figure.savefig(buffer, format=kind, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()


def _name(entry: Entry) -> str:
    name = name_cell(entry).text
    return name if len(name) <= 40 else f"{name[:39]}…"


def _file_name(dataset: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", dataset)
