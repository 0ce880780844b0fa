"""Published values on a board: what is shown beside its entries, and what becomes of a value when it is made again.

Nothing here is ranked or tested: no predictions stand behind a published value, so that its distance to one of ours has
the known uncertainty of ours only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from harness.errors import ConfigError, UnknownNameError
from harness.leaderboard.leaderboard import DatasetHeader, Entry, Leaderboard, PublishedEntry
from harness.leaderboard.settings import changed_settings, make_setting
from harness.leaderboard.spec import BoardSpec, LiteratureSpec, Reproduced
from harness.literature import (
    Literature,
    Mismatch,
    PublishedValue,
    find_mismatches,
    find_slips,
    load_literature,
)
from harness.literature.files import Table
from harness.literature.mismatches import find_data_mismatches
from harness.store import RunStore
from harness.store.layout import Layout, beside


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One published value beside the row of a board that makes it again. Scores are fractions."""

    dataset: str
    predictor: str
    """What tables call our row."""
    system: str
    name: str
    """What the source calls it."""
    variant: str
    metric: str
    """Of the published value; the board's primary one if it is printed."""
    reported: float
    reproduced: float
    """Primary metric of our row, mean over seeds."""
    low: float
    """Lower end of our (1 - alpha) interval."""
    high: float
    """Upper end."""
    difference: float | None
    """Reproduced minus reported; None if they are different metrics."""
    inside: bool | None
    """Whether the reported value lies in our interval; None if there is no interval, or another metric is reported."""
    mismatches: tuple[Mismatch, ...]
    """In what the two differ or may differ."""
    sound: bool
    """Whether nothing is known or left open that forbids to compare the two."""
    table: str
    """SOURCE/KEY."""
    cited: str
    """Source and table in words."""
    provenance: str
    verified: bool
    problems: tuple[str, ...]
    """What is known to be wrong with the published value."""


def open_literature(board: str, spec: LiteratureSpec | None, layout: Layout) -> Literature:
    """Returns the published tables that a board may name: those of the package, and of its own files.

    Raises:
        ConfigError: one of its files lies elsewhere, cannot be read or is not valid.
    """
    return load_literature([beside(layout.board(board), name) for name in (spec.files if spec else ())])


def published_entries(board: Leaderboard, spec: LiteratureSpec, literature: Literature) -> tuple[PublishedEntry, ...]:
    """Returns what the tables of a specification print on the board's data, by dataset and in the order of the tables.

    Raises:
        UnknownNameError: there is no such table.
        ConfigError: no table has a value of a metric and a corpus of the board.
    """
    tables = [literature.table(name) for name in spec.tables]
    entries = tuple(entry for table in tables for entry in _entries(table, board, literature))
    if not entries:
        corpora = ", ".join(header.dataset for header in board.datasets)
        raise ConfigError(
            f"board {board.board!r}, key 'literature.tables': no value of {', '.join(board.metrics)} on {corpora} in "
            f"{', '.join(spec.tables)}; type: erc-harness literature list"
        )
    return entries


def published_slips(spec: LiteratureSpec, literature: Literature) -> tuple[str, ...]:
    """Returns what the tables of a specification contradict, one sentence each."""
    return tuple(slip.text for slip in find_slips(literature) if set(slip.tables) & set(spec.tables))


def compare_with_published(
    board: Leaderboard, spec: BoardSpec, literature: Literature, store: RunStore
) -> tuple[Reproduction, ...]:
    """Returns every row of a board beside every published value that it makes again.

    Args:
        board: as built from the store.
        spec: its section on literature says which tables count, and which rows make which systems again; without one
            all tables do, and rows stand for the system that is called like their predictor.
        literature: what `open_literature` returns.
        store: holds the runs of the board.

    Raises:
        UnknownNameError: a table, a row that is to reproduce a system, or that system is not known.
        StoreError: a manifest is missing or corrupt.
    """
    own = spec.literature
    tables = literature.tables if own is None else tuple(literature.table(name) for name in own.tables)
    values = [value for table in tables for value in literature.values_of(table)]
    wanted = {} if own is None else own.reproduces
    rows = {entry.name for entry in board.entries} | {entry.title for entry in spec.predictors if entry.title}
    for row, made in wanted.items():
        if row not in rows:
            raise UnknownNameError.of("row", row, rows, "correct [literature.reproduces] in the board.toml")
        known = {(value.system, value.variant) for value in values}
        if (made.system, made.variant) not in known:
            raise UnknownNameError.of(
                "published system", _called(made.system, made.variant), {_called(*pair) for pair in known},
                "type: erc-harness literature list",
            )  # fmt: skip
    return tuple(
        reproduction
        for header in board.datasets
        for entry in board.of_dataset(header.dataset)
        for reproduction in _reproductions(entry, header, values, wanted, literature, store)
    )


def _entries(table: Table, board: Leaderboard, literature: Literature) -> Iterator[PublishedEntry]:
    """Yields the rows of a table, each on the datasets of the board in turn."""
    headers = [(header, literature.corpus_of(header.dataset)) for header in board.datasets]
    by_row: dict[tuple[str, str], list[PublishedValue]] = {}
    for value in literature.values_of(table):
        if value.metric in board.metrics:
            by_row.setdefault((value.system, value.variant), []).append(value)
    for values in by_row.values():
        for header, corpus in headers:
            own = [value for value in values if value.corpus == corpus]
            if own:
                yield _entry(own, header, literature)


def _entry(values: Sequence[PublishedValue], header: DatasetHeader, literature: Literature) -> PublishedEntry:
    """Returns the entry of values that differ in their metric only."""
    value = values[0]
    size = (header.dataset, header.split, len(header.labels), header.n_utterances)
    return PublishedEntry(
        dataset=header.dataset,
        system=value.system,
        name=value.name,
        variant=value.variant,
        metrics={value.metric: value.value for value in values},
        table=value.table,
        cited=value.cited,
        provenance=value.provenance,
        verified=value.verified,
        selection=value.selection,
        n_seeds=value.seeds,
        features=literature.features[value.features].title,
        modalities=value.modalities,
        differs=tuple(mismatch.text for mismatch in find_data_mismatches(value, *size, literature)),
        problems=value.problems,
    )


def _reproductions(
    entry: Entry,
    header: DatasetHeader,
    values: Sequence[PublishedValue],
    wanted: Mapping[str, Reproduced],
    literature: Literature,
    store: RunStore,
) -> Iterator[Reproduction]:
    made = wanted.get(entry.name) or Reproduced(system=entry.predictor.partition("[")[0])
    corpus = literature.corpus_of(header.dataset)
    by_table: dict[str, list[PublishedValue]] = {}
    for value in values:
        if (value.corpus, value.system, value.variant) == (corpus, made.system, made.variant):
            by_table.setdefault(value.table, []).append(value)
    if not by_table:
        return
    changed = "" if entry.name in wanted else changed_settings(entry)
    setting = make_setting(entry, header, store.find(str(store.layout.root / entry.runs[0])).manifest, changed)
    for own in by_table.values():
        value = next((value for value in own if value.metric == header.metric), own[0])
        same = value.metric == header.metric
        mismatches = find_mismatches(value, setting, literature)
        yield Reproduction(
            dataset=header.dataset,
            predictor=entry.name,
            system=value.system,
            name=value.name,
            variant=value.variant,
            metric=value.metric,
            reported=value.value,
            reproduced=entry.score,
            low=entry.low,
            high=entry.high,
            difference=entry.score - value.value if same else None,
            inside=entry.low <= value.value <= entry.high if same and isfinite(entry.low) else None,
            mismatches=mismatches,
            sound=not mismatches,
            table=value.table,
            cited=value.cited,
            provenance=value.provenance,
            verified=value.verified,
            problems=value.problems,
        )


def _called(system: str, variant: str) -> str:
    return f"{system} ({variant})" if variant else system
