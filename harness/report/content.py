"""What a page shows of one dataset: tables for its template, and numbers with their printed form for its scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.data import Split
from harness.export import numbers
from harness.export.escape import one_line
from harness.export.jsonfile import stored
from harness.export.rows import Table, describe_scores, describe_tests, make_tables
from harness.leaderboard.leaderboard import Entry, Leaderboard
from harness.report import tables
from harness.report.dialogues import browse
from harness.report.published import Published, make_published
from harness.report.systems import SystemFacts, SystemKey
from harness.report.tables import Grid
from harness.store import RunStore


@dataclass(frozen=True, slots=True)
class Panel:
    """One dataset of the page."""

    name: str
    split: str
    verdict: str
    """Who is best, and who cannot be told from it, in one sentence."""
    facts: tuple[str, ...]
    """Size, tests, power: one sentence each."""
    warnings: tuple[str, ...]
    signature: str
    grids: Mapping[str, Grid]
    """By key: ranking, labels, variance."""
    choices: Mapping[str, tuple[str, ...]]
    """What the filters offer: family, context, modality."""
    has_corpus: bool
    published: Published | None
    """What papers report; None if the board shows nothing of it."""


@dataclass(frozen=True, slots=True)
class Content:
    """A whole page."""

    title: str
    board: str
    metric: str
    legend: str
    version: str
    panels: tuple[Panel, ...]
    data: Mapping[str, Any]
    """For the scripts: {"alpha", "panels": [...]}; JSON values, every text already one line."""


def make_content(
    board: Leaderboard, systems: Mapping[SystemKey, SystemFacts], store: RunStore, splits: Mapping[str, Split]
) -> Content:
    """Returns the content of a page.

    Args:
        board: what to show.
        systems: facts of every entry.
        store: where predictions are read, for datasets with a split only.
        splits: corpora whose dialogues are to be shown, by dataset.

    Raises:
        IncompatibleRunsError, StoreError: as `harness.report.dialogues.browse`.
    """
    panels, data = [], []
    for table in make_tables(board):
        entries = board.of_dataset(table.header.dataset)
        facts = [systems[entry.dataset, entry.predictor] for entry in entries]
        split = splits.get(table.header.dataset)
        panels.append(_panel(board, table, entries, facts, split is not None))
        own = _data(board, table, entries, facts)
        data.append(own if split is None else own | {"corpus": browse(split, entries, store)})
    return Content(
        title=one_line(board.title),
        board=one_line(board.board),
        metric=one_line(board.metric_title),
        legend=one_line(describe_scores(board)),
        version=one_line(board.version),
        panels=tuple(panels),
        data={"level": numbers.level(board.alpha), "panels": stored(data)},
    )


def _panel(
    board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts], has_corpus: bool
) -> Panel:
    header = table.header
    grids = {
        "ranking": tables.ranking(board, table, entries, facts),
        "labels": tables.label_scores(header.labels, entries, facts),
        "variance": tables.variances(entries, facts),
    }
    choices = {
        "family": [own.family for own in facts],
        "context": [entry.context for entry in entries],
        "modality": [modality for entry in entries for modality in entry.modalities],
    }
    return Panel(
        name=one_line(header.dataset),
        split=one_line(header.split),
        verdict=one_line(_verdict(table, entries)),
        facts=tuple(one_line(f"{text}.") for text in (table.size, describe_tests(board), table.power) if text),
        warnings=tuple(map(one_line, header.warnings)),
        signature=one_line(header.signature),
        grids=grids,
        choices={key: tuple(sorted(set(map(one_line, values)))) for key, values in choices.items()},
        has_corpus=has_corpus,
        published=make_published(board, header),
    )


def _verdict(table: Table, entries: Sequence[Entry]) -> str:
    """Returns the claim of the table."""
    leader = next((i for i, entry in enumerate(entries) if entry.to_top == 0 and entry.rank_low is not None), None)
    if leader is None:
        return "No pair of systems was tested: the order below is that of the scores alone."
    others = sum(entry.top for entry in entries) - 1
    row = table.rows[leader]
    highest = "scores highest" if leader == 0 else "scores highest of those tested"
    who = f"{row.predictor} {highest}: {row.score} {table.metric_title}"
    tested = sum(entry.rank_low is not None for entry in entries) - 1
    if not tested:
        return f"{who}; there is no other system to test it against."
    if not others:
        return f"{who}, and the tests tell it from {_some(tested, tested)}."
    return f"{who}; the tests cannot tell it from {_some(others, tested)}."


def _some(n: int, total: int) -> str:
    if n == total:
        return f"{'both' if n == 2 else 'all'} {'' if n == 2 else f'{n} '}others" if n > 1 else "the other system"
    return f"{n} of the {total} others"


def _data(board: Leaderboard, table: Table, entries: Sequence[Entry], facts: Sequence[SystemFacts]) -> dict[str, Any]:
    """Returns what the scripts of a panel draw from; every number that they print comes with its printed form."""
    place = {entry.predictor: i for i, entry in enumerate(entries)}
    return {
        "dataset": one_line(table.header.dataset),
        "metric": one_line(table.metric_title),
        "labels": [one_line(label) for label in table.header.labels],
        "systems": [_system(entry, own) for entry, own in zip(entries, facts, strict=True)],
        "groups": [{"letter": letter, "systems": own} for letter, own in letter_groups(entries)],
        "pairs": [
            {
                "a": place[pair.a],
                "b": place[pair.b],
                "difference": pair.difference,
                "different": pair.p_adjusted <= board.alpha,
                "shown": [
                    numbers.points(pair.difference),
                    numbers.interval(pair.low, pair.high),
                    numbers.p_value(pair.p_value),
                    numbers.p_value(pair.p_adjusted),
                ],
            }
            for pair in board.comparisons
            if pair.dataset == table.header.dataset
        ],
        "axes": [{"key": cost.key, "title": cost.title} for cost in tables.COSTS],
    }


def _system(entry: Entry, facts: SystemFacts) -> dict[str, Any]:
    costs = {cost.key: (getattr(facts, cost.key), cost.show) for cost in tables.COSTS}
    return {
        "name": tables.name_cell(entry).text,
        "family": one_line(facts.family),
        "context": one_line(entry.context),
        "modality": [one_line(modality) for modality in entry.modalities],
        "top": entry.top,
        "tested": entry.rank_low is not None,
        "score": entry.score,
        "low": entry.low,
        "high": entry.high,
        "shown": [numbers.percent(entry.score), numbers.interval(entry.low, entry.high)],
        "seeds": [
            [seed, score, numbers.percent(score)] for seed, score in zip(facts.seeds, facts.seed_scores, strict=True)
        ],
        "confusion": facts.confusion,
        "costs": {key: [value, show(value)] for key, (value, show) in costs.items() if value is not None},
        "about": [[name, one_line(value)] for name, value in facts.about],
    }


def letter_groups(entries: Sequence[Entry]) -> list[tuple[str, list[int]]]:
    """Returns each letter with the places of the entries that bear it; spaces part letters of two characters."""
    spaced = any(" " in entry.letters for entry in entries)
    members: dict[str, list[int]] = {}
    for i, entry in enumerate(entries):
        for letter in entry.letters.split() if spaced else entry.letters:
            members.setdefault(one_line(letter), []).append(i)
    return list(members.items())
