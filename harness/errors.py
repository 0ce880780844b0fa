"""Every exception that the project raises on purpose.

Each class derives from `HarnessError` and from the built-in exception a Python user would expect, so that both
`except HarnessError` and `except LookupError` work. A message is one line: the offending value in `repr`, what is
allowed, and what to type next. This module imports nothing of the project.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

N_LISTED = 20
"""Names that a message lists at most."""


class HarnessError(Exception):
    """Base of every deliberate error; the command line prints its message and exits with 2."""


class UnknownNameError(HarnessError, LookupError):
    """A name that no registry, board or label set knows."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], hint: str = "") -> UnknownNameError:
        """Builds the message: what was asked for, the nearest names, all names, and what to type next."""
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        meant = f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
        listed = ", ".join(names[:N_LISTED]) if names else "none"
        listed += f", and {len(names) - N_LISTED} more" if len(names) > N_LISTED else ""
        return cls(f"unknown {kind} {name!r}{meant} (known: {listed}){'; ' + hint if hint else ''}")


class DuplicateNameError(HarnessError, ValueError):
    """A name registered twice."""


class PluginLoadError(HarnessError, ImportError):
    """A plugin, or the code behind a registered name, that cannot be imported."""


class MissingDependencyError(HarnessError, ImportError):
    """An optional package that is not installed."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingDependencyError:
        """Builds the message, with the extra of this distribution that brings the package."""
        return cls(f"{purpose} needs the package {package!r}; type: pip install 'erc-harness[{extra}]'")


class DataError(HarnessError, ValueError):
    """A corpus file that does not say what its format promises."""

    @classmethod
    def at(cls, path: Path, problem: str, *, line: int | None = None, column: str | None = None) -> DataError:
        """Builds the message `FILE, line N, column C: PROBLEM`; lines count from 1."""
        place = str(path)
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column {column!r}"
        return cls(f"{place}: {problem}")


class DatasetNotFoundError(HarnessError, FileNotFoundError):
    """A corpus that is not where it was looked for."""

    def __str__(self) -> str:  # FileNotFoundError would print an errno for some argument counts
        return str(self.args[0]) if self.args else ""


class PromptError(HarnessError, ValueError):
    """A prompt template that is missing, or that uses a variable nobody gave."""


class ModelError(HarnessError, RuntimeError):
    """A language model that cannot be loaded or called at all; the message says how to get it."""


class CallsStoppedError(HarnessError, RuntimeError):
    """Calls that stopped early: a limit of the user, or nobody answers. What was answered is kept."""


class PredictionError(HarnessError, ValueError):
    """A predictor that returned something other than one valid prediction per target utterance."""


class StoreError(HarnessError, ValueError):
    """A stored file that is corrupt, or a folder that cannot be read or written."""


class IncompatibleRunsError(HarnessError, ValueError):
    """Runs that may not meet in one table: other data, other labels or another protocol."""


class ConfigError(HarnessError, ValueError):
    """A setting with a value that is not allowed; the message names its key path."""
