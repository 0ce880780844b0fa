"""Tables in TOML: those that come with this package, and a user's own in the same form."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from harness.bounded import MAX_SETTINGS, parse_toml, read_bounded
from harness.errors import ConfigError

T = TypeVar("T", bound=BaseModel)


def read_packaged(schema: type[T], name: str) -> T:
    """Returns a table that comes with this package.

    Raises:
        ConfigError: a key or value is not allowed.
    """
    return _validate(schema, files("harness.llm.tables").joinpath(name).read_text(encoding="utf-8"), name)


def read_own(schema: type[T], path: Path, origin: str) -> T:
    """Returns a user's table.

    Args:
        schema: what the file must hold.
        path: the file.
        origin: the option or variable that names it.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or a key or value is not allowed.
    """
    try:
        return _validate(schema, read_bounded(path, MAX_SETTINGS).decode(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{origin} {str(path)!r}: cannot be read: {reason}; give a TOML file") from error


def _validate(schema: type[T], text: str, where: str) -> T:
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise ConfigError(f"{where}: not a TOML file: {error}") from error
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "value_error":  # of several keys together: the message names them
            raise ConfigError(f"{where}{f', under {key!r}' if key else ''}: {first['ctx']['error']}") from error
        given = f", got {first['input']!r}" if first["type"] not in ("missing", "extra_forbidden") else ""
        raise ConfigError(f"{where}, key {key!r}: {first['msg']}{given}") from error
