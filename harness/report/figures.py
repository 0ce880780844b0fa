"""Figures of a board for a paper, as PDF and SVG: groups, pairs, labels, cost and seeds. Needs matplotlib.

Each function draws one figure from the entries of one dataset; text is drawn as it is, never as mathematics. The same
board gives the same files: no date is written, and ids in SVG are salted with a constant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import MissingDependencyError
from harness.export import numbers
from harness.export.rows import Table, make_tables
from harness.leaderboard.leaderboard import Entry, Leaderboard
from harness.report.content import letter_groups
from harness.report.systems import SystemFacts, read_systems
from harness.report.tables import COSTS, Cost, name_cell
from harness.store import RunStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg")

WIDTH = 5.5
"""Inches: the text width of a one-column paper."""

FEW = 14
"""Systems up to which a matrix holds digits, as on the page."""

LINE = 0.2
"""Inches a system takes."""

INK, ACCENT, SOFT = "#1b2330", "#1f5fbf", "#8a93a3"

STYLE: Any = {
    "font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT, "pdf.fonttype": 42,
    "svg.fonttype": "none", "svg.hashsalt": "erc-harness", "axes.titlesize": 9, "axes.labelsize": 7,
    "text.parse_math": False,
}  # fmt: skip
"""Settings of matplotlib, in force while a figure is drawn and saved."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One dataset of a board, with the facts of its entries."""

    board: Leaderboard
    table: Table
    entries: tuple[Entry, ...]
    facts: tuple[SystemFacts, ...]

    @property
    def tested(self) -> list[Entry]:
        """Entries that took part in the tests, best first."""
        return [entry for entry in self.entries if entry.rank_low is not None]

    @property
    def metric(self) -> str:
        """Title of the primary metric."""
        return self.table.metric_title


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
    files: dict[str, bytes] = {}
    with rc_context(STYLE):
        for table in make_tables(board):
            entries = board.of_dataset(table.header.dataset)
            facts = tuple(systems[entry.dataset, entry.predictor] for entry in entries)
            for name, draw in FIGURES.items():
                figure = draw(Shown(board, table, entries, facts))
                if figure is not None:
                    stem = f"{_file_name(table.header.dataset)}-{name}"
                    files |= {f"{stem}.{kind}": _save(figure, kind) for kind in FORMATS}
    return files


def draw_groups(shown: Shown) -> Figure | None:
    """Draws scores with intervals, best on top, and a vertical line for each group that shares a letter."""
    tested = shown.tested
    if not tested:
        return None
    figure, axes = _lines(tested, f"{shown.metric} (percent, {numbers.level(shown.board.alpha)} intervals)")
    rows = np.arange(len(tested))
    scores = np.array([entry.score for entry in tested])
    reach = np.array([[e.score - e.low, e.high - e.score] if math.isfinite(e.low) else [0, 0] for e in tested]).T
    axes.errorbar(100 * scores, rows, xerr=100 * reach, fmt="o", color=ACCENT, markersize=3.5, elinewidth=1.2)
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
    for k, (letter, members) in enumerate(letter_groups(tested)):
        place = [1.03 + 0.025 * k] * len(members)
        axes.plot(place, members, color=INK, linewidth=1.2, marker="o", markersize=2.5, **beside)
        axes.text(place[0], -0.9, letter, ha="center", fontsize=7, **beside)
    return figure


def draw_pairs(shown: Shown) -> Figure | None:
    """Draws differences in points, row minus column; bold, or a dot, where the corrected test tells the two apart."""
    pairs = [pair for pair in shown.board.comparisons if pair.dataset == shown.table.header.dataset]
    tested = shown.tested
    if not pairs:
        return None
    place = {entry.predictor: i for i, entry in enumerate(tested)}
    matrix = np.full((len(tested), len(tested)), np.nan)
    figure, axes = _figure(WIDTH, 1.2 + (0.28 if len(tested) <= FEW else LINE) * len(tested))
    for pair in pairs:
        a, b = place[pair.a], place[pair.b]
        matrix[a, b] = 100 * pair.difference
        different = pair.p_adjusted <= shown.board.alpha
        text = numbers.points(pair.difference) if len(tested) <= FEW else "•" if different else ""
        weight = "bold" if different else "normal"
        axes.text(b, a, text, ha="center", va="center", fontsize=6, fontweight=weight)
    limit = np.nanmax(np.abs(matrix)) or 1.0
    axes.imshow(matrix, cmap="RdBu", vmin=-1.6 * limit, vmax=1.6 * limit, aspect="auto")
    axes.set_xticks(range(len(tested)), [str(i + 1) for i in range(len(tested))])
    axes.set_yticks(range(len(tested)), [f"{_name(entry)}  {i + 1}" for i, entry in enumerate(tested)])
    axes.set_title(f"Points of {shown.metric}, row minus column")
    return figure


def draw_labels(shown: Shown) -> Figure | None:
    """Draws F1 by label as a heat map, percent, mean over seeds."""
    matrix = np.array([own.label_f1 for own in shown.facts])
    labels = shown.table.header.labels
    figure, axes = _figure(WIDTH, 1.0 + LINE * len(matrix))
    axes.imshow(matrix, cmap="Blues", vmin=0, aspect="auto")
    dark = 0.6 * (matrix.max() or 1.0)
    for (row, column), f1 in np.ndenumerate(matrix):
        colour = "white" if f1 > dark else INK
        axes.text(column, row, numbers.percent(float(f1), 1), ha="center", va="center", fontsize=6, color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.set_yticks(range(len(matrix)), [_name(entry) for entry in shown.entries])
    return figure


def draw_cost(shown: Shown) -> Figure | None:
    """Draws score against parameters, time and price, each with the front of systems that no other beats."""
    told: dict[Cost, list[tuple[float, float, str]]] = {}
    for cost in COSTS:
        known = [
            (getattr(own, cost.key), 100 * e.score, _name(e)) for e, own in zip(shown.entries, shown.facts, strict=True)
        ]
        points = sorted((point for point in known if point[0]), key=lambda point: (point[0], -point[1]))
        told |= {cost: points} if points else {}
    if not told:
        return None
    figure, all_axes = _figure(WIDTH, 2.4, len(told))
    for axes, (cost, points) in zip(np.atleast_1d(all_axes), told.items(), strict=True):
        _scatter(axes, cost, points)
    np.atleast_1d(all_axes)[0].set_ylabel(f"{shown.metric} (percent)")
    return figure


def _scatter(axes: Axes, cost: Cost, points: Sequence[tuple[float, float, str]]) -> None:
    """Draws (cost, score, name), sorted by cost, with their front and the name of its best."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    front = [points[i] for i in pareto_front([point[:2] for point in points])]
    axes.scatter([point[0] for point in points], [point[1] for point in points], s=12, color=SOFT)
    line = axes.plot([point[0] for point in front], [point[1] for point in front], color=ACCENT, linewidth=1)
    line[0].set(marker="o", markersize=3.5, drawstyle="steps-post")
    axes.set_xscale("log")
    axes.set_xlim(points[0][0] / 2, points[-1][0] * 2)
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: cost.show(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(cost.title)
    cheapest, highest, text = front[-1]
    name = axes.annotate(text, (cheapest, highest), xytext=(0, 5), textcoords="offset points", ha="right", fontsize=6)
    name.set_in_layout(False)  # a long one must not squeeze the axes


def draw_seeds(shown: Shown) -> Figure | None:
    """Draws the score of each run, with the mean as a bar, for systems of several runs."""
    several = [(entry, own) for entry, own in zip(shown.entries, shown.facts, strict=True) if len(own.seeds) > 1]
    if not several:
        return None
    figure, axes = _lines([entry for entry, _ in several], f"{shown.metric} of single runs (percent)")
    for row, (entry, own) in enumerate(several):
        axes.plot(100 * np.array(own.seed_scores), [row] * len(own.seeds), "o", color=ACCENT, alpha=0.5, markersize=3.5)
        axes.plot(100 * entry.score, row, "|", color=INK, markersize=9)
    return figure


FIGURES: Mapping[str, Callable[[Shown], Figure | None]] = {
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
