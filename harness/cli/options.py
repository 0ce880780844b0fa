"""Options that commands share, and where folders are when nobody says."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import note
from harness.errors import ConfigError
from harness.store import provenance
from harness.store.layout import Layout

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder that holds one folder a corpus, such as meld/. Default: ERC_DATA_DIR."),
]
ResultsDir = Annotated[
    Path | None,
    typer.Option(
        "--results-dir", help="Folder of runs and boards. Default: ERC_RESULTS_DIR, ./results, or that of the checkout."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", is_eager=True, help="No progress and no notes on stderr.")
]  # read first, since what other options have to say depends on it


def _note_code(context: typer.Context, plugins: list[str] | None) -> list[str] | None:
    """Says once a command which files will run as code."""
    files = [plugin for plugin in plugins or () if Path(plugin).is_file()]
    if files and not context.params.get("quiet"):
        note(f"{', '.join(files)}: a plugin is code and runs with all your rights; everything else is read as data")
    return plugins


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        callback=_note_code,
        help="Python file or module that registers predictors or datasets; may be repeated. It runs as you.",
    ),
]


class NamingName(StrEnum):
    """Ways to write labels."""

    natural = "natural"
    canonical = "canonical"


def find_data_dir(given: Path | None) -> Path | None:
    """Returns the data directory: the option, else ERC_DATA_DIR, else None.

    Raises:
        ConfigError: it is not a folder.
    """
    named = _named_data_dir(given)
    if named is not None and not named.is_dir():
        source = "--data-dir" if given else "ERC_DATA_DIR"
        raise ConfigError(f"{source} {str(named)!r} is not a folder; give the folder that holds meld/, emorynlp/, ...")
    return named


def fetch_dir(given: Path | None) -> Path:
    """Returns where corpora are to be put: the option, else ERC_DATA_DIR; the folder need not exist yet.

    Raises:
        ConfigError: neither is given.
    """
    named = _named_data_dir(given)
    if named is None:
        raise ConfigError("no data directory given; add --data-dir DIR, or set ERC_DATA_DIR")
    return named


def _named_data_dir(given: Path | None) -> Path | None:
    from_environment = os.environ.get("ERC_DATA_DIR")
    named = given or (Path(from_environment) if from_environment else None)
    return None if named is None else named.resolve()


def find_layout(given: Path | None) -> Layout:
    """Returns the results folder: the option, ERC_RESULTS_DIR, ./results if it holds runs or boards, or the checkout's.

    It need not exist yet. An installed package without any of these uses ./results.
    """
    if given is not None:
        return Layout(given.resolve())
    if os.environ.get("ERC_RESULTS_DIR"):
        return Layout(Path(os.environ["ERC_RESULTS_DIR"]).resolve())
    here = Layout(Path("results").resolve())
    root = provenance.checkout()
    if root is None or here.runs.is_dir() or here.leaderboards.is_dir():
        return here
    return Layout(root / "results")
