"""A typed table of named things, some of them still only a "module:attr" string. Knows nothing of what it holds."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from harness.errors import ConfigError, DuplicateNameError, PluginLoadError, UnknownNameError

T = TypeVar("T")

_NO_DEVICE = r"(?!(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|$))"
_PART = rf"{_NO_DEVICE}[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?"

NAME = re.compile(rf"{_PART}(?:/{_PART})?")
"""Allowed names: 'dialogue-rnn', or 'lab/name' for things from outside; each part can be a folder on every system."""

FILE_NAME = re.compile(rf"{_NO_DEVICE}(?!\.+$)[\w .+@~()-]*[\w+@~()-]")
"""Allowed names of files that another file names: no path, no drive and no stream, on any system."""


@dataclass(frozen=True, slots=True)
class Registered(Generic[T]):
    """One row of a registry."""

    name: str
    origin: str
    """Where it comes from: 'erc-harness', a distribution, or a file."""
    value: T | None
    """The thing itself; None while lazy or broken."""
    target: str | None = None
    """'module:attr' to import on first use."""
    error: str | None = None
    """Why it cannot be loaded; looking it up raises."""


class Registry(Generic[T]):
    """Named things of one kind, with loud duplicates, lazy targets and did-you-mean.

    Importing a lazy target must register the thing under the same name (a decorator does): built-ins and outside
    plugins so come through one door.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rows: dict[str, Registered[T]] = {}

    def add(self, name: str, value: T, origin: str, target: str | None = None) -> None:
        """Registers a thing; a lazy row with the same target is fulfilled by it.

        Raises:
            ConfigError: the name is not allowed.
            DuplicateNameError: something else has the name.
        """
        self._claim(name, origin, target, value)
        self._rows[name] = Registered(name, self._rows[name].origin if name in self._rows else origin, value, target)

    def add_lazy(self, name: str, target: str, origin: str) -> None:
        """Registers a thing by its 'module:attr', imported on first use; raises as `add` does."""
        row = self._rows.get(name, Registered(name, origin, None, target))
        self._claim(name, origin, target, row.value)
        self._rows[name] = replace(row, origin=origin)  # a module imported before its plugin was found named itself

    def add_broken(self, name: str, origin: str, error: str) -> None:
        """Keeps a thing that could not be loaded, so that it is listed with its cause instead of vanishing."""
        self._rows.setdefault(name, Registered(name, origin, None, error=error))

    def get(self, name: str) -> T:
        """Returns the thing, importing it if need be.

        Raises:
            UnknownNameError: no such name.
            PluginLoadError: its code cannot be imported.
        """
        row = self.row(name)
        if row.error is not None or row.value is None:
            raise PluginLoadError(f"{self.kind} {name!r} from {row.origin} cannot be loaded: {row.error}")
        return row.value

    def row(self, name: str) -> Registered[T]:
        """Returns the row of a name, resolved; a failed import is kept in its `error`.

        Raises:
            UnknownNameError: no such name.
        """
        if name not in self._rows:
            hint = (
                f"type: erc-harness list {self.kind}s"
                if self.kind in ("predictor", "dataset", "encoder", "metric", "slice")
                else ""
            )
            raise UnknownNameError.of(self.kind, name, self._rows, hint)
        row = self._rows[name]
        if row.value is None and row.error is None and row.target is not None:
            error = _import_error(row.target)
            row = self._rows[name]
            if row.value is None:
                error = error or f"importing {row.target} registered no {self.kind} {name!r}"
                row = self._rows[name] = Registered(name, row.origin, None, row.target, error)
        return row

    def broken(self) -> list[Registered[T]]:
        """Returns the rows known to be broken, without importing anything."""
        return [row for row in self._rows.values() if row.error is not None]

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._rows))

    def _claim(self, name: str, origin: str, target: str | None, value: T | None = None) -> None:
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{self.kind} name {name!r}: expected lower-case letters, digits, '.', '_' or '-', "
                "or 'lab/name' for a plugin"
            )
        old = self._rows.get(name)
        if old is not None and (target is None or old.target != target or old.value not in (None, value)):
            raise DuplicateNameError(
                f"{self.kind} {name!r} from {origin} is already registered by {old.origin}; "
                "choose another name, such as 'yourlab/" + name.rsplit("/", maxsplit=1)[-1] + "'"
            )


def origin_of(module: str) -> str:
    """Returns where a module comes from, for lists and manifests: a plugin file's name, or the top package.

    The loader of plugin files leaves their name in the module as `__plugin_file__`: no path of a machine is recorded.
    """
    return str(getattr(sys.modules.get(module), "__plugin_file__", module.split(".", maxsplit=1)[0]))


def _import_error(target: str) -> str | None:
    """Imports the module of 'module:attr'; returns the cause of a failure in one line, None on success."""
    module, _, attribute = target.partition(":")
    try:
        with redirect_stdout(sys.stderr):  # what a module prints while it is imported is no answer of a command
            found = hasattr(importlib.import_module(module), attribute)
        if not found:
            return f"module {module!r} has no {attribute!r}"
    except (Exception, SystemExit) as error:  # a plugin may fail in any way; the cause is kept and raised at lookup
        return f"{type(error).__name__}: {error}"
    return None
