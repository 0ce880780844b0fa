"""Finding predictors and datasets: built-ins, installed plugins, and those named on the command line.

All come through one door. A plugin is a module whose import registers things with the decorators, or a mapping of
predictor names to "module:Class" whose modules do so when first needed. It is code and runs with the user's rights.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path

from harness.errors import DuplicateNameError, PluginLoadError
from harness.predictors.predictor import PREDICTORS
from harness.registry.registry import NAME

GROUP = "erc_harness.plugins"
"""Entry-point group of installed plugins."""

BUILTIN = "baselines:BUILTIN"
"""The compared systems of this distribution, known here by name only; found without installation too."""


def load_plugins(named: Iterable[str] = ()) -> None:
    """Registers everything that can be found; calling it again adds only what is new.

    An installed plugin that fails is listed as broken under its entry-point name. One that the user names must load.

    Args:
        named: paths of Python files, or dotted module names.

    Raises:
        PluginLoadError: a named plugin does not exist or fails.
    """
    _register(importlib.import_module(BUILTIN.split(":", maxsplit=1)[0]).BUILTIN, origin="erc-harness")
    for entry in entry_points(group=GROUP):
        if entry.value == BUILTIN:
            continue
        origin = entry.dist.name if entry.dist else entry.value
        try:
            with redirect_stdout(sys.stderr):  # stdout is for answers
                _register(entry.load(), origin)
        except (Exception, SystemExit) as error:  # a plugin may fail in any way; its cause is listed
            name = entry.name if NAME.fullmatch(entry.name) else f"plugin-{len(PREDICTORS.broken()) + 1}"
            PREDICTORS.add_broken(name, origin, f"{type(error).__name__}: {error}")
    for plugin in named:
        _load_named(plugin)


def _register(plugin: object, origin: str) -> None:
    """Registers a mapping of names to targets; a module has registered itself by being imported."""
    if isinstance(plugin, Mapping):
        for name, target in plugin.items():
            PREDICTORS.add_lazy(name, target, origin)


def _load_named(plugin: str) -> None:
    """Imports a plugin by path or dotted name, once in a process."""
    try:
        with redirect_stdout(sys.stderr):
            if plugin.endswith(".py") or "/" in plugin:
                _import_file(Path(plugin))
            else:
                importlib.import_module(plugin)
    except (PluginLoadError, DuplicateNameError):
        raise
    except (Exception, SystemExit) as error:
        raise PluginLoadError(
            f"plugin {plugin!r} cannot be loaded: {type(error).__name__}: {error}; "
            f"type: python {plugin if plugin.endswith('.py') else '-c ' + repr(f'import {plugin}')} to see where"
        ) from error


def _import_file(path: Path) -> None:
    """Imports a Python file under a name of its own; a second call with the same file does nothing."""
    if not path.is_file():
        raise PluginLoadError(f"plugin {str(path)!r} does not exist; give a .py file or a dotted module name")
    path = path.resolve()
    name = f"erc_plugin_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginLoadError(f"plugin {str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__plugin_file__"] = path.name
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
