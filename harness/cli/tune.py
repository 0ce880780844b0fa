"""`erc-harness tune`: trains what predictors keep, and predicts nothing; runs then find it trained."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.calls import Download
from harness.cli.options import DataDir, Json, Plugins, Quiet, find_data_dir, find_layout
from harness.cli.output import print_json, print_table
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.evaluation.jobs import PreparedRun, Settings


def tune(
    predictor: Annotated[str, typer.Argument(help="Name of a predictor that keeps its training: 'dialogue-llm'.")],
    dataset: Annotated[list[str] | None, typer.Option(help="Datasets, each for a training of its own.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seeds: --seed 0 1 2. Default: 0.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-P", help="Parameter of the predictor: key=value.")
    ] = None,
    download: Download = False,
    data_dir: DataDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train without predicting: `accelerate launch -m harness tune ...` does so with several processes."""
    from harness.cli.run import named_jobs
    from harness.evaluation.jobs import Settings, plan
    from harness.llm.calls import CallSettings
    from harness.predictors import Predictor
    from harness.predictors.plugins import load_plugins

    from .progress import RunDisplay

    load_plugins(tuple(plugin or ()))
    calls = CallSettings(download=download)
    settings = Settings(find_layout(None).root, find_data_dir(data_dir), tuple(plugin or ()), calls=calls)
    runs = plan(named_jobs([predictor], dataset, "test", seed, param), settings)
    if runs[0].spec.build.kept is Predictor.kept:
        raise ConfigError(f"predictor {predictor!r} keeps nothing of what it learns; type: erc-harness run {predictor}")
    first = os.environ.get("RANK", "0") == "0"
    with RunDisplay(runs, quiet or not first) as display:
        rows = [_tune(run, settings, display, index) for index, run in enumerate(runs)]
    if not first:
        return
    if as_json:
        print_json({"trainings": rows})
    else:
        print_table(rows)


def _tune(run: PreparedRun, settings: Settings, display: Any, index: int) -> dict[str, Any]:
    """Returns one row: which training, and what its predictor remarks of it."""
    from harness.evaluation.progress import Progress
    from harness.predictors.session import FitProgress, Session

    def tell(progress: FitProgress) -> None:
        display.on_progress(index, Progress("fit", progress.done, progress.total, progress.text))

    predictor = run.build()
    predictor.use(Session(settings.calls, settings.data_dir, report=tell))
    try:
        predictor.fit(run.dataset.split("train"), run.dataset.split("dev"))
        return {
            "predictor": run.spec.name,
            "dataset": run.dataset.name,
            "seed": run.job.seed,
            **predictor.kept(),
        }
    finally:
        predictor.close()
