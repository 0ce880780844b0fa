"""What a file of published results holds, validated key by key. Any of its parts may stand in any file.

[sources.my-paper]
title = "..."
cite = "My paper"                       # how tables name it
where = "arXiv 2401.00001"
kind = "paper"                          # or "repository", or "second-hand": a page, whose values stay unverified

[protocols.meld]                        # data under a corpus's name; what is not known is left out
corpus = "meld"                         # what people call it
dataset = "meld"                        # ours on the same data; default: none, and nothing here is comparable
release = "declare-lab/MELD, ..."
n_labels = 7
n_utterances = 2610                     # of the test split, labelled
n_dialogues = 280

[features.roberta-tuned]
title = "RoBERTa-large tuned on single utterances"
ours = ["hf-tuned:*roberta-large*"]     # patterns of what a run here says that it read; default: nothing is the same

[[tables]]
source = "my-paper"
key = "table-3"                         # boards name it my-paper/table-3
name = "Table 3"
note = "..."

[tables.all]                            # keys of every row that does not set them; problems are added up
provenance = "own"                      # by the system's authors; "re-run" by others; "copied" from the authors

[[tables.rows]]
system = "dialogue-rnn"                 # name of ours where there is one
name = "DialogueRNN"                    # what the source calls it; n_params = "9.9M" as printed, or left out
variant = "zero-shot"                   # default: "", the system itself
split = "test"
selection = "test"                      # split that chose the epoch: dev, test, none (untrained); default: unknown
seeds = 5                               # default: not stated
features = "roberta-tuned"
modalities = ["text"]
verified = true                         # seen in a primary source: a paper or its repository
problems = ["..."]
values.meld = { accuracy = 65.96, weighted_f1 = 65.30 }   # by protocol; percent with the digits printed
average = { weighted_f1 = 55.83 }       # over the corpora of the row, as printed

[[tables.gains]]                        # relative, in percent, by corpus
system = "dialogue-rnn"
over = "bc-lstm"
values.meld = { weighted_f1 = 0.66 }
average = { weighted_f1 = 1.79 }

[[tables.claims]]
system = "dialogue-rnn"
says = "surpasses all others"           # checked against every other system of the table
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from harness.metrics import metric_names
from harness.registry.registry import NAME

Provenance = Literal["own", "re-run", "copied"]
Selection = Literal["dev", "test", "none", "unknown"]
Modality = Literal["text", "audio", "visual"]

KNOWN_METRICS = metric_names(neutral="neutral")
"""Metrics that a value may be of."""


def _check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("expected lower-case letters, digits, '.', '_' or '-'")
    return name


def _check_number(value: object) -> object:
    """Refuses what is no number; floats come as `Decimal`, so that their printed digits stay."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("expected a number in percent")
    return value


Percent = Annotated[Decimal, BeforeValidator(_check_number), Field(ge=0, le=100, decimal_places=4)]
Change = Annotated[Decimal, BeforeValidator(_check_number), Field(decimal_places=4)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Where tables are printed."""

    title: str = Field(min_length=1)
    cite: str = Field(min_length=1)
    where: str = Field(min_length=1)
    kind: Literal["paper", "repository", "second-hand"]


class Protocol(_Part):
    """Data as some papers use them; None is not known."""

    corpus: str = Field(min_length=1)
    dataset: str = ""
    release: str = Field(min_length=1)
    n_labels: int | None = Field(default=None, ge=2)
    n_utterances: int | None = Field(default=None, ge=1)
    n_dialogues: int | None = Field(default=None, ge=1)


class FeatureKind(_Part):
    """What systems read."""

    title: str = Field(min_length=1)
    ours: tuple[str, ...] = ()


class Row(_Part):
    """One line of a printed table."""

    system: str
    name: str = Field(min_length=1)
    variant: str = ""
    n_params: str = ""
    provenance: Provenance
    split: Literal["dev", "test"] = "test"
    selection: Selection = "unknown"
    seeds: int | None = Field(default=None, ge=1)
    features: str
    modalities: tuple[Modality, ...] = Field(default=("text",), min_length=1)
    verified: bool = True
    problems: tuple[str, ...] = ()
    values: dict[str, dict[str, Percent]] = Field(min_length=1)
    average: dict[str, Percent] = {}

    _name = field_validator("system")(_check_name)

    @field_validator("values", "average")
    @classmethod
    def _metrics_known(cls, values: dict[str, Any]) -> dict[str, Any]:
        return _check_metrics(values)

    @model_validator(mode="after")
    def _average_of_something(self) -> Row:
        for metric in self.average.keys() - {name for values in self.values.values() for name in values}:
            raise ValueError(f"an average of {metric}, of which the row has no value")
        return self


class Gain(_Part):
    """A relative gain that a table prints."""

    system: str
    over: str
    values: dict[str, dict[str, Change]] = {}
    average: dict[str, Change] = {}

    @field_validator("values", "average")
    @classmethod
    def _metrics_known(cls, values: dict[str, Any]) -> dict[str, Any]:
        return _check_metrics(values)


class Claim(_Part):
    """A sentence that says that a system has the highest value of every column."""

    system: str
    says: str = Field(min_length=1)


class Table(_Part):
    """A printed table."""

    source: str
    key: str
    name: str = Field(min_length=1)
    note: str = ""
    rows: tuple[Row, ...] = Field(min_length=1)
    gains: tuple[Gain, ...] = ()
    claims: tuple[Claim, ...] = ()

    _name = field_validator("key")(_check_name)

    @property
    def id(self) -> str:
        """What boards call it."""
        return f"{self.source}/{self.key}"

    @model_validator(mode="before")
    @classmethod
    def _fill_rows(cls, table: Any) -> Any:
        """Gives every row what holds for all."""
        if not isinstance(table, dict) or not isinstance(table.get("rows"), list):
            return table
        common = table.get("all", {})
        if not isinstance(common, dict):
            raise ValueError(f"'all' is {common!r}; expected keys of rows")
        rows = [_filled(common, row) if isinstance(row, dict) else row for row in table["rows"]]
        return {key: value for key, value in table.items() if key != "all"} | {"rows": rows}

    @model_validator(mode="after")
    def _rows_fit(self) -> Table:
        seen = set()
        for row in self.rows:
            if (row.system, row.variant) in seen:
                raise ValueError(f"system {row.system!r}, variant {row.variant!r} is there twice; give one a variant")
            seen.add((row.system, row.variant))
        named = [name for gain in self.gains for name in (gain.system, gain.over)]
        for name in (*named, *(claim.system for claim in self.claims)):
            if (name, "") not in seen:
                raise ValueError(f"a gain or claim names {name!r}, which has no row without a variant")
        return self


class ResultsFile(_Part):
    """A whole file."""

    sources: dict[str, Source] = {}
    protocols: dict[str, Protocol] = {}
    features: dict[str, FeatureKind] = {}
    tables: tuple[Table, ...] = ()

    @field_validator("sources", "protocols", "features")
    @classmethod
    def _names_allowed(cls, parts: dict[str, Any]) -> dict[str, Any]:
        for name in parts:
            _check_name(name)
        return parts


def _filled(common: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    shared, own = common.get("problems", []), row.get("problems", [])
    if not isinstance(shared, list):
        return {**common, **row, "problems": shared}  # to be refused
    return {**common, **row, "problems": [*shared, *own] if isinstance(own, list) else own}


def _check_metrics(values: dict[str, Any]) -> dict[str, Any]:
    """Checks the metrics of {metric: number} or {data: {metric: number}}."""
    for name, value in values.items():
        if isinstance(value, dict):
            if not value:
                raise ValueError(f"{name!r} has no value")
            _check_metrics(value)
        elif name not in KNOWN_METRICS:
            raise ValueError(f"metric {name!r} is not known; allowed: {', '.join(KNOWN_METRICS)}")
    return values
