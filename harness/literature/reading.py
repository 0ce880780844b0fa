"""Reads files of published results, those that come with the package and further ones; nothing is skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.bounded import MAX_SETTINGS, parse_toml, read_bounded
from harness.errors import ConfigError
from harness.literature.files import ResultsFile, Row, Table
from harness.literature.slips import cells_of
from harness.literature.values import Literature

N_SHOWN = 60
"""Characters of a wrong value that a message shows."""


def load_literature(further: Sequence[Path] = ()) -> Literature:
    """Returns the tables that come with the package, and those of further files, which may name what the package has.

    Raises:
        ConfigError: a file cannot be read, is not TOML, has a key or value that is not allowed, names what no file has,
            or has again what another one has.
    """
    return _merge([*_packaged(), *((str(path), _parse(str(path), _text(path))) for path in further)])


@cache
def _packaged() -> Sequence[tuple[str, ResultsFile]]:
    folder = files("harness.literature").joinpath("tables")
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return [(file.name, _parse(file.name, file.read_text(encoding="utf-8"))) for file in found]


def _text(path: Path) -> str:
    try:
        return read_bounded(path, MAX_SETTINGS).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{str(path)!r} cannot be read: {reason}; give a TOML file of published results") from error


def _parse(where: str, text: str) -> ResultsFile:
    try:
        document = parse_toml(text, parse_float=Decimal)
    except ValueError as error:
        raise ConfigError(f"{where}: not a TOML file: {error}") from error
    try:
        return ResultsFile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        problem = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        shown = str(first["input"]) if isinstance(first["input"], Decimal) else repr(first["input"])
        told = first["type"] in ("missing", "extra_forbidden") or isinstance(first["input"], dict)
        given = "" if told else f", got {shown[:N_SHOWN]}"
        raise ConfigError(f"{_place(where, document, first['loc'])}: {problem}{given}") from error


def _place(where: str, document: Any, loc: tuple[int | str, ...]) -> str:
    """Returns where a value stands: the file, its table and row by name, its key."""
    names, keys = [where], [str(part) for part in loc]
    if loc[:1] == ("tables",) and len(loc) > 1:
        table = document["tables"][loc[1]]
        names.append(f"table {_named(table, 'key', loc[1])}")
        keys = keys[2:]
        if loc[2:3] == ("rows",) and len(loc) > 3:
            names.append(f"row {_named(table['rows'][loc[3]], 'system', loc[3])}")
            keys = keys[2:]
    if keys:
        names.append(f"key {'.'.join(keys)!r}")
    return ", ".join(names)


def _named(part: Any, key: str, position: int | str) -> str:
    """Returns the name of a table or row; its place, counted from 1, if it has none."""
    return repr(part[key]) if isinstance(part, dict) and key in part else str(int(position) + 1)


def _merge(parts: Sequence[tuple[str, ResultsFile]]) -> Literature:
    tables: dict[str, Table] = {}
    literature = Literature(
        _together(parts, "sources"), _together(parts, "protocols"), _together(parts, "features"),
        tuple(table for _, part in parts for table in part.tables),
    )  # fmt: skip
    for where, part in parts:
        for table in part.tables:
            place = f"{where}, table {table.key!r}"
            if tables.setdefault(table.id, table) is not table:
                raise ConfigError(f"{place}: {table.source!r} has a table of this key already; choose another key")
            _check_known(place, "source", table.source, literature.sources)
            for row in table.rows:
                _check_row(f"{place}, row {row.system!r}", row, table, literature)
            _check_gains(place, table, literature)
    return literature


def _together(parts: Sequence[tuple[str, ResultsFile]], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for where, part in parts:
        for name, value in getattr(part, kind).items():
            if name in found:
                raise ConfigError(f"{where}, key '{kind}.{name}': another file has it already; choose another name")
            found[name] = value
    return found


def _check_row(place: str, row: Row, table: Table, literature: Literature) -> None:
    _check_known(place, "features", row.features, literature.features)
    corpora = set()
    for protocol in row.values:
        _check_known(place, "protocol", protocol, literature.protocols)
        corpus = literature.protocols[protocol].corpus
        if corpus in corpora:
            raise ConfigError(f"{place}: two protocols of {corpus!r} in one row; give each a row with a variant")
        corpora.add(corpus)
    if row.verified and literature.sources[table.source].kind == "second-hand":
        raise ConfigError(f"{place}: a second-hand source verifies nothing; write: verified = false")


def _check_gains(place: str, table: Table, literature: Literature) -> None:
    """Checks that gains are of numbers that the table has, and over no 0."""
    rows = {row.system: cells_of(row, literature) for row in table.rows if not row.variant}
    for gain in table.gains:
        for system in (gain.system, gain.over):
            cells = {cell: number.value for cell, number in rows[system].items() if number.value}
            named = {(corpus, metric) for corpus, values in gain.values.items() for metric in values}
            for corpus, metric in sorted(named - cells.keys()):
                raise ConfigError(f"{place}: a gain in {metric} on {corpus!r}, where {system!r} has no value but 0")
            for metric in sorted(gain.average.keys() - {metric for _, metric in cells}):
                raise ConfigError(f"{place}: a gain in average {metric}, of which {system!r} has no value but 0")


def _check_known(place: str, kind: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise ConfigError(f"{place}: unknown {kind} {name!r} (known: {', '.join(sorted(known))})")
