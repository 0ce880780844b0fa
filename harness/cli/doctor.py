"""`erc-harness doctor`: what is installed, what is missing, what stands in the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import typer

from harness.cli.options import DataDir, Json, Plugins, ResultsDir, find_data_dir, find_layout
from harness.cli.output import print_json, print_table
from harness.errors import DatasetNotFoundError, PluginLoadError

OURS = ("harness", "baselines", "prompts")
DISTRIBUTION = "erc-harness"
EXTRAS = {
    "models": "transformers",
    "openai": "openai",
    "lm-eval": "lm_eval",
    "ray": "ray",
    "plots": "matplotlib",
    "video": "av",
}
"""One package of each extra whose presence stands for it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "absent", "problem"]
    """'absent' is no fault: something optional that is not there."""
    detail: str


def doctor(
    data_dir: DataDir = None, results_dir: ResultsDir = None, plugin: Plugins = None, as_json: Json = False
) -> None:
    """Look for what would go wrong: package clashes, missing extras, broken plugins, folders."""
    from harness.predictors.plugins import load_plugins
    from harness.store import provenance

    load_plugins(tuple(plugin or ()))
    found = [Finding("python", "ok" if sys.version_info >= (3, 11) else "problem", sys.version.split()[0])]
    found += _clashes()
    found += [Finding(f"package {name}", "ok", version) for name, version in provenance.versions().items()]
    found += [
        Finding(f"extra {extra}", "ok", "installed")
        if find_spec(package)
        else Finding(f"extra {extra}", "absent", f"type: pip install 'erc-harness[{extra}]'")
        for extra, package in EXTRAS.items()
    ]
    found += _plugins()
    layout = find_layout(results_dir)
    top = next(folder for folder in (layout.root, *layout.root.parents) if folder.exists())
    writable = os.access(top, os.W_OK)
    found.append(
        Finding("results", "ok" if writable else "problem", f"{layout.root}{'' if writable else ': not writable'}")
    )
    found += _datasets(find_data_dir(data_dir))
    if as_json:
        print_json({"checks": [asdict(finding) for finding in found]})
    else:
        print_table([asdict(finding) for finding in found])
    if any(finding.state == "problem" for finding in found):
        raise typer.Exit(2)


def _clashes() -> Iterator[Finding]:
    """Yields whether another distribution owns one of our package names, which would shadow or overwrite ours."""
    owners = packages_distributions()
    for package in OURS:
        others = sorted(set(owners.get(package, [])) - {DISTRIBUTION})
        if others:
            yield Finding(
                f"import {package}",
                "problem",
                f"also installed by {', '.join(others)}; type: pip uninstall {others[0]}",
            )
        else:
            yield Finding(f"import {package}", "ok", "ours alone")


def _plugins() -> Iterator[Finding]:
    """Yields the predictors that can be loaded, counted, and each broken one."""
    from harness.predictors import PREDICTORS

    rows = [PREDICTORS.row(name) for name in PREDICTORS]
    yield Finding("predictors", "ok", f"{sum(row.error is None for row in rows)} can be loaded")
    for row in rows:
        if row.error is not None:
            yield Finding(f"predictor {row.name}", "problem", f"broken ({row.origin}): {row.error}")


def _datasets(data_dir: Path | None) -> Iterator[Finding]:
    """Yields which registered datasets have their files."""
    from harness.data import DATASETS, find_dataset

    for name in DATASETS:
        try:
            _, where = find_dataset(name, data_dir)
            yield Finding(f"dataset {name}", "ok", str(where))
        except DatasetNotFoundError as error:
            yield Finding(f"dataset {name}", "absent", str(error))
        except PluginLoadError as error:
            yield Finding(f"dataset {name}", "problem", str(error))
