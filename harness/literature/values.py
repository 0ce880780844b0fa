"""Published values one by one, with everything their table says of them, and all tables together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from harness.errors import UnknownNameError
from harness.literature.files import FeatureKind, Modality, Protocol, Provenance, Row, Selection, Source, Table


@dataclass(frozen=True, slots=True)
class PublishedValue:
    """One number of a printed table. Nobody here has the predictions behind it: it can be shown, and not tested."""

    system: str
    """Name of ours, where there is one."""
    name: str
    """What the source calls it."""
    variant: str
    """'' for the system itself."""
    n_params: str
    """As printed: "9.9M"; '' if it is not."""
    corpus: str
    """What people call the data: "emorynlp" for both releases."""
    protocol: str
    """Key of `Literature.protocols`: which release and split."""
    release: str
    """The same in words."""
    n_labels: int | None
    """None: not known."""
    n_utterances: int | None
    """Labelled ones of the split; None: not known."""
    split: str
    metric: str
    value: float
    """Fraction."""
    printed: Decimal
    """Percent, with the digits printed."""
    features: str
    """Key of `Literature.features`: what the system read."""
    modalities: tuple[Modality, ...]
    seeds: int | None
    """None: not stated."""
    selection: Selection
    """Split that chose the epoch; "none" of untrained systems."""
    table: str
    """SOURCE/KEY."""
    cited: str
    """Source and table in words: "DialogueLLM v4, Table 3"."""
    provenance: Provenance
    """By the system's authors, by others, or copied from the authors."""
    verified: bool
    """Whether it was seen in a primary source; never of second-hand pages."""
    problems: tuple[str, ...]
    """What is known to be wrong with it."""


@dataclass(frozen=True, slots=True)
class Literature:
    """Every published table that was read."""

    sources: Mapping[str, Source]
    protocols: Mapping[str, Protocol]
    features: Mapping[str, FeatureKind]
    tables: tuple[Table, ...]

    @property
    def values(self) -> tuple[PublishedValue, ...]:
        """Every value, in the order of the tables."""
        return tuple(value for table in self.tables for value in self.values_of(table))

    def find(
        self, *, corpus: str | None = None, system: str | None = None, metric: str | None = None
    ) -> tuple[PublishedValue, ...]:
        """Returns the values of a corpus, system and metric, in the order of the tables; None: of all.

        Args:
            corpus: as people call it, or one of our datasets: then values on any release of its corpus.
            system: name of a system, not of a variant.
            metric: name of a metric.

        Raises:
            UnknownNameError: no table has such a corpus, system or metric.
        """
        values = self.values
        wanted = None if corpus is None else self.corpus_of(corpus)
        for kind, name, known in (
            ("published corpus", wanted, {value.corpus for value in values}),
            ("published system", system, {value.system for value in values}),
            ("published metric", metric, {value.metric for value in values}),
        ):
            if name is not None and name not in known:
                raise UnknownNameError.of(kind, name, known, "type: erc-harness literature list")
        return tuple(
            value
            for value in values
            if wanted in (None, value.corpus) and system in (None, value.system) and metric in (None, value.metric)
        )

    def table(self, name: str) -> Table:
        """Returns the table called SOURCE/KEY.

        Raises:
            UnknownNameError: there is none.
        """
        by_id = {table.id: table for table in self.tables}
        if name not in by_id:
            raise UnknownNameError.of("published table", name, by_id, "type: erc-harness literature list")
        return by_id[name]

    def corpus_of(self, dataset: str) -> str:
        """Returns what people call the data of one of our datasets; the name itself if no protocol has it."""
        return next((p.corpus for p in self.protocols.values() if p.dataset == dataset), dataset)

    def cite(self, table: Table) -> str:
        """Returns source and table in words."""
        return f"{self.sources[table.source].cite}, {table.name}"

    def values_of(self, table: Table) -> tuple[PublishedValue, ...]:
        """Returns the values of a table, row by row."""
        return tuple(
            self._value(table, row, protocol, metric, printed)
            for row in table.rows
            for protocol, values in row.values.items()
            for metric, printed in values.items()
        )

    def _value(self, table: Table, row: Row, protocol: str, metric: str, printed: Decimal) -> PublishedValue:
        data = self.protocols[protocol]
        return PublishedValue(
            system=row.system,
            name=row.name,
            variant=row.variant,
            n_params=row.n_params,
            corpus=data.corpus,
            protocol=protocol,
            release=data.release,
            n_labels=data.n_labels,
            n_utterances=data.n_utterances,
            split=row.split,
            metric=metric,
            value=float(printed / 100),
            printed=printed,
            features=row.features,
            modalities=row.modalities,
            seeds=row.seeds,
            selection=row.selection,
            table=table.id,
            cited=self.cite(table),
            provenance=row.provenance,
            verified=row.verified,
            problems=row.problems,
        )
