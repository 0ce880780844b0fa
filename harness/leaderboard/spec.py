"""The specification of a board: results/leaderboards/<board>/board.toml, validated.

title = "MELD, seven emotions"
datasets = ["meld"]              # names, each once
split = "test"
seeds = [0, 1, 2, 3, 4]          # a deterministic predictor runs the first only
metric = "weighted_f1"           # default: the main metric of the first dataset
metrics = ["accuracy", "macro_f1"]
scope = "procedure"              # or "checkpoint": one run a row
unit = "dialogue"                # what is resampled; or an attribute of dialogues, such as "episode"
test = "satterthwaite"
correction = "holm"
alpha = 0.05
n_resamples = 10000
seed = 0                         # of the resampling
other_runs = true                # rank every other stored run of these datasets too
notes = ["..."]                  # printed under the table

[shared.tfidf-svm]               # parameters of every entry of this predictor that does not set them itself
history = 2

[[predictors]]
name = "tfidf-svm"
params = { speaker = true }
datasets = ["meld"]              # default: every dataset of the board
title = "with speakers"          # what tables call the row; default: the name, with changed parameters in brackets

[literature]                     # published values, shown apart and never ranked; default: none
tables = ["dialogue-llm/table-3"]  # as `erc-harness literature list` names them
files = ["more.toml"]            # beside this file: published results of your own; see harness/literature/files.py

[literature.reproduces."with speakers"]  # a row by what tables call it; default: what papers call the same system
system = "dialogue-llm"
variant = "zero-shot"            # default: the system itself

A path among the parameters is relative to the folder where `erc-harness run` is typed. Files and models are matched by
name: runs on any content or commit of that name belong to the entry, and each content has a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.bounded import MAX_SETTINGS, parse_toml, read_bounded
from harness.errors import ConfigError, IncompatibleRunsError, UnknownNameError
from harness.registry.registry import FILE_NAME, NAME
from harness.schema.run import MAX_SEED, Job
from harness.store.layout import Layout

REMOTE_CODE = "trust_remote_code"
"""What lets code run that comes with weights: a user types it, no file implies it."""

TOGETHER = ("split", "seeds", "metric", "scope", "unit", "test", "correction", "alpha", "n_resamples", "seed")
"""Keys of a specification in which boards that share a table must agree."""


class PredictorEntry(BaseModel):
    """One predictor that `run --board` makes sure is there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    params: dict[str, Any] = {}
    """Its own; those it shares with others of its name stand in `BoardSpec.shared`."""
    datasets: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Those of the board that it runs on; None: all."""
    title: str = ""
    """What tables call it; '': its label."""


class Reproduced(BaseModel):
    """The published system that a row makes again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    variant: str = ""


class LiteratureSpec(BaseModel):
    """Published values on a board."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: tuple[str, ...] = Field(min_length=1)
    """Names of tables, SOURCE/KEY."""
    files: tuple[str, ...] = ()
    """Further files, beside the specification."""
    reproduces: dict[str, Reproduced] = {}
    """By what tables call a row."""

    @field_validator("files")
    @classmethod
    def _files_beside(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for name in files:
            if not FILE_NAME.fullmatch(name) or not name.endswith(".toml"):
                raise ValueError("expected names of .toml files that lie beside the board.toml")
        return files


class BoardSpec(BaseModel):
    """What a board shows and how it tests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    datasets: tuple[str, ...] = Field(min_length=1)
    split: Literal["dev", "test"] = "test"
    seeds: tuple[int, ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    metric: str | None = None
    metrics: tuple[str, ...] = ("accuracy", "macro_f1")
    scope: Literal["procedure", "checkpoint"] = "procedure"
    unit: str = "dialogue"
    test: str | None = None
    correction: str | None = None
    alpha: float = Field(default=0.05, gt=0, lt=1)
    n_resamples: int = Field(default=10_000, ge=100)
    seed: int = Field(default=0, ge=0)
    other_runs: bool = False
    notes: tuple[str, ...] = ()
    shared: dict[str, dict[str, Any]] = {}
    """Parameters by name of predictor."""
    predictors: tuple[PredictorEntry, ...] = ()
    """As in the file; `entries_on` has them as they run."""
    literature: LiteratureSpec | None = None
    """None: the board shows no published value."""

    @field_validator("datasets")
    @classmethod
    def _names_once(cls, datasets: tuple[str, ...]) -> tuple[str, ...]:
        for name in datasets:
            if not NAME.fullmatch(name):
                raise ValueError("expected names of datasets; a corpus of your own lies under --data-dir by its name")
        if len(set(datasets)) < len(datasets):
            raise ValueError("a dataset is named twice")
        return datasets

    @field_validator("seeds")
    @classmethod
    def _seeds_from_zero(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if min(seeds) < 0 or max(seeds) > MAX_SEED or len(set(seeds)) < len(seeds):
            raise ValueError(f"expected different whole numbers from 0 to {MAX_SEED}")
        return seeds

    @model_validator(mode="after")
    def _entries_fit(self) -> BoardSpec:
        for name in sorted(self.shared.keys() - {entry.name for entry in self.predictors}):
            raise ValueError(f"shared parameters of {name!r}, which the board does not list")
        for params in (*self.shared.values(), *(entry.params for entry in self.predictors)):
            if any(REMOTE_CODE in f"{key}={value}" for key, value in params.items()):
                raise ValueError(
                    f"{REMOTE_CODE} in a board, which is data and may let no code run; make that run by hand and rank "
                    "it with: other_runs = true"
                )
        for entry in self.predictors:
            for dataset in sorted(set(entry.datasets or ()) - set(self.datasets)):
                raise ValueError(f"{entry.name!r} is to run on {dataset!r}, which is no dataset of the board")
        return self

    def entries_on(self, dataset: str) -> list[PredictorEntry]:
        """Returns the predictors that run on a dataset, each with all its parameters."""
        return [
            entry.model_copy(update={"params": {**self.shared.get(entry.name, {}), **entry.params}})
            for entry in self.predictors
            if dataset in (entry.datasets or self.datasets)
        ]

    def jobs(self) -> list[Job]:
        """Returns every run that the board asks for."""
        return [
            Job(entry.name, entry.params, dataset, self.split, seed)
            for dataset in self.datasets
            for entry in self.entries_on(dataset)
            for seed in self.seeds
        ]


def check_together(specs: Mapping[str, BoardSpec]) -> None:
    """Checks that boards fit into one table.

    Raises:
        IncompatibleRunsError: they test in different ways, or share a dataset.
    """
    (first, ours), *others = specs.items()
    for board, theirs in others:
        for key in TOGETHER:
            if getattr(ours, key) != getattr(theirs, key):
                raise IncompatibleRunsError(
                    f"boards {first!r} and {board!r} cannot share a table: {key} is {getattr(ours, key)!r} and "
                    f"{getattr(theirs, key)!r}; write the same into both board.toml"
                )
    datasets = [dataset for spec in specs.values() for dataset in spec.datasets]
    twice = sorted({dataset for dataset in datasets if datasets.count(dataset) > 1})
    if twice:
        raise IncompatibleRunsError(
            f"dataset {twice[0]!r} is on two of the boards {', '.join(specs)}; give one of them"
        )


def load_spec(board: str, layout: Layout) -> BoardSpec:
    """Returns the specification of a board; a board without a file that is named like a dataset ranks all its runs.

    Raises:
        UnknownNameError: there is no such board and no stored run of such a dataset.
        ConfigError: the file is not TOML, or a key or value is not allowed.
    """
    path = layout.board_spec(board)
    if path.is_file():
        return _read(path)
    if layout.split(board, "test").is_dir():
        return BoardSpec(title=f"All runs on {board}", datasets=(board,), other_runs=True)
    known = sorted(p.parent.name for p in layout.leaderboards.glob("*/board.toml"))
    raise UnknownNameError.of(
        "board", board, known,
        f"write {path}, or make runs first: erc-harness run PREDICTOR --dataset {board}",
    )  # fmt: skip


def _read(path: Path) -> BoardSpec:
    try:
        document = parse_toml(read_bounded(path, MAX_SETTINGS).decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; write it anew") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    try:
        return BoardSpec.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise ConfigError(f"{path}: {first['ctx']['error']}") from error
        key = ".".join(str(part) for part in first["loc"])
        given = f", got {first['input']!r}" if first["type"] not in ("missing", "extra_forbidden") else ""
        keys = _part_at(first["loc"]).model_fields
        allowed = f" (known keys: {', '.join(keys)})" if first["type"] == "extra_forbidden" else ""
        raise ConfigError(f"{path}, key {key!r}: {first['msg']}{given}{allowed}") from error


def _part_at(loc: tuple[int | str, ...]) -> type[BaseModel]:
    """Returns the part of a specification that a key stands in."""
    if loc[:2] == ("literature", "reproduces"):
        return Reproduced
    if len(loc) > 1:
        return LiteratureSpec if loc[0] == "literature" else PredictorEntry
    return BoardSpec
