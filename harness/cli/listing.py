"""`erc-harness list`: predictors, datasets, encoders, metrics, slices, runs, boards, models and what they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from harness.cli.options import DataDir, Json, Plugins, ResultsDir, find_data_dir, find_layout
from harness.cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="List what there is.")


@app.command()
def predictors(plugin: Plugins = None, as_json: Json = False) -> None:
    """Predictors that can be run, broken ones with their cause."""
    from harness.predictors import PREDICTORS
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    rows = []
    for name in PREDICTORS:
        row = PREDICTORS.row(name)
        card = row.value.card if row.value is not None else None
        rows.append(
            {
                "name": name,
                "family": card.family if card else None,
                "context": card.context if card else None,
                "deterministic": card.deterministic if card else None,
                "takes": (asdict(card.takes) if as_json else str(card.takes)) if card else None,
                "origin": row.origin,
                "summary": card.summary if card else f"broken: {row.error}",
                "error": row.error,
            }
        )
    _print("predictors", rows, as_json, hide=("error",))


@app.command()
def datasets(data_dir: DataDir = None, plugin: Plugins = None, as_json: Json = False) -> None:
    """Datasets that can be read, and whether their files are here."""
    from harness.data import DATASETS, find_dataset, list_datasets
    from harness.errors import DatasetNotFoundError, PluginLoadError
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    folder = find_data_dir(data_dir)
    rows: list[dict[str, Any]] = []
    for name in list_datasets(folder):
        try:
            spec, _ = find_dataset(name, folder)
            here = True
        except DatasetNotFoundError:
            spec, here = DATASETS.get(name), False
        except PluginLoadError as error:
            rows.append({"name": name, "title": f"broken: {error}", "labels": None, "here": False, "license": None})
            continue
        card = spec.card
        rows.append(
            {"name": name, "title": card.title, "labels": len(card.label_set), "here": here, "license": card.license}
        )
    _print("datasets", rows, as_json)


@app.command()
def encoders(plugin: Plugins = None, as_json: Json = False) -> None:
    """Encoders of utterances for `-P encoder=NAME`, broken ones with their cause."""
    from harness.features import ENCODERS
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    rows = []
    for name in ENCODERS:
        row = ENCODERS.row(name)
        spec = row.value
        rows.append(
            {
                "name": name,
                "argument": spec.argument if spec else None,
                "kind": spec.kind if spec else None,
                "origin": row.origin,
                "summary": spec.summary if spec else f"broken: {row.error}",
                "error": row.error,
            }
        )
    _print("encoders", rows, as_json, hide=("error",))


@app.command()
def metrics(as_json: Json = False) -> None:
    """Metrics that a board can show."""
    from harness.evaluation.scoring import list_metrics

    _print("metrics", [{"name": name, "description": text} for name, text in list_metrics().items()], as_json)


@app.command()
def slices(plugin: Plugins = None, as_json: Json = False) -> None:
    """Slices of a split for `slices --slice NAME`, broken ones with their cause."""
    from harness.predictors.plugins import load_plugins
    from harness.slices import SLICES, slice_names

    load_plugins(tuple(plugin or ()))
    rows = []
    for name in slice_names():
        row = SLICES.row(name)
        spec = row.value
        rows.append(
            {
                "name": name,
                "values": list(spec.values) if spec else None,
                "needs": list(spec.needs) if spec else None,
                "origin": row.origin,
                "meaning": spec.meaning if spec else f"broken: {row.error}",
                "error": row.error,
            }
        )
    if not as_json:
        rows = [{**row, "needs": _cell(row["needs"])} for row in rows]
    _print("slices", rows, as_json, hide=("values", "error"))


@app.command()
def runs(results_dir: ResultsDir = None, as_json: Json = False) -> None:
    """Sealed runs, imported ones with where they come from, broken ones with their cause."""
    from harness.errors import StoreError
    from harness.store import RunStore
    from harness.store.layout import MANIFEST
    from harness.store.run_store import read_manifest

    layout = find_layout(results_dir)
    rows: list[dict[str, Any]] = []
    for folder in RunStore(layout).folders():
        row = {"name": folder.name, **dict.fromkeys(("predictor", "dataset", "split", "seed", "coverage", "imported"))}
        try:
            manifest = read_manifest(folder / MANIFEST)
            row |= {
                "predictor": manifest.predictor.label,
                "dataset": manifest.data.dataset,
                "split": manifest.data.split,
                "seed": manifest.seed,
                "coverage": round(manifest.coverage, 6),
                "imported": (manifest.predictor.imported or {}).get("from"),
            }
            error = None
        except StoreError as broken:
            error = str(broken)
            row["predictor"] = f"broken: {error}"
        rows.append({**row, "path": str(folder.relative_to(layout.root)), "error": error})
    _print("runs", rows, as_json, hide=("error",))


@app.command()
def boards(results_dir: ResultsDir = None, as_json: Json = False) -> None:
    """Boards with a specification, how many of their runs are here and how many missing, broken ones with their cause.

    Until a deterministic predictor has run, every seed of it counts as missing.
    """
    from harness.errors import ConfigError, StoreError
    from harness.leaderboard.build import board_progress
    from harness.leaderboard.spec import load_spec
    from harness.store import RunStore

    layout = find_layout(results_dir)
    store = RunStore(layout)
    rows: list[dict[str, Any]] = []
    for name in sorted(path.parent.name for path in layout.leaderboards.glob("*/board.toml")):
        row = {"name": name, **dict.fromkeys(("title", "datasets", "status", "n_runs", "n_missing", "error"))}
        try:
            spec = load_spec(name, layout)
            row |= {"title": spec.title, "datasets": ", ".join(spec.datasets)}
            progress = board_progress(name, spec, store)
            status = "planned" if progress.planned else "incomplete" if progress.missing else "complete"
            row |= {"status": status, "n_runs": progress.n_runs, "n_missing": len(progress.missing)}
        except (ConfigError, StoreError) as error:
            row |= {"title": f"broken: {error}", "status": "broken", "error": str(error)}
        rows.append(row)
    _print("boards", rows, as_json, hide=("error",))


@app.command()
def models(as_json: Json = False) -> None:
    """Named models for `-P model=NAME`, each pinned to a commit, and how to get them."""
    from harness.llm.tables.models import list_models

    hidden = ("revision", "n_params", "source", "note")
    _print("models", list_models(), as_json, hide=hidden)


@app.command()
def templates(as_json: Json = False) -> None:
    """Prompt templates for `-P template=NAME`, with their hashes."""
    from harness.prompting.templates import list_templates, load_template

    rows = [{"name": name, "sha256": load_template(name).sha256} for name in list_templates()]
    _print("templates", rows, as_json)


@app.command()
def recipes(as_json: Json = False) -> None:
    """Recipes of fine-tuning for `-P recipe=NAME`, setting by setting."""
    from harness.llm.tables.recipes import list_recipes

    rows: list[dict[str, Any]] = [{"name": name, **one.model_dump(mode="json")} for name, one in list_recipes().items()]
    if as_json:
        print_json({"recipes": rows})
        return
    settings = [key for key in rows[0] if key not in ("name", "source")]
    print_table([{"setting": key, **{row["name"]: _cell(row[key]) for row in rows}} for key in settings])


@app.command()
def trainings(as_json: Json = False) -> None:
    """Weights that were trained here and are kept, with the score by which they were chosen."""
    from harness.store.trained import TrainedStore

    rows = [
        {
            "name": folder.name,
            "base": record["base"]["model"],
            "recipe": record["recipe_name"],
            "seed": record["seed"],
            "chosen_by": record["selected_by"],
            "score": round(record["tuning"]["best_score"], 4),
            "path": str(folder),
        }
        for folder, record in TrainedStore.at(None).records().items()
        if "tuning" in record
    ]
    _print("trainings", rows, as_json)


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print(key: str, rows: Sequence[dict[str, Any]], as_json: bool, hide: Sequence[str] = ()) -> None:
    if as_json:
        print_json({key: list(rows)})
    else:
        print_table([{k: v for k, v in row.items() if k not in hide} for row in rows])
