"""`erc-harness import`: what other harnesses have logged, as runs."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.corpora import load_corpora
from harness.cli.options import DataDir, Json, Plugins, ResultsDir, find_layout
from harness.cli.output import print_json, print_text

app = typer.Typer(no_args_is_help=True, help="Make runs of what other harnesses have logged.")


class Normalisation(StrEnum):
    """How likelihoods of the labels are compared."""

    sum = "sum"
    byte_mean = "byte-mean"


@app.callback()
def importing() -> None:
    """Keeps the name of the harness a command of its own."""


@app.command()
def lm_eval(
    samples: Annotated[Path, typer.Argument(help="samples_TASK_DATE.jsonl, as lm-eval writes it with --log_samples.")],
    dataset: Annotated[str, typer.Option(help="Dataset that the task was exported from.")],
    name: Annotated[str, typer.Option(help="What boards call the row: 'lm-eval/qwen-7b'.")],
    split: Annotated[str, typer.Option(help="Its split.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Number of the evaluation, where answers are drawn.")] = 0,
    normalisation: Annotated[
        Normalisation,
        typer.Option(help="Choice task: sum is lm-eval's weighted_f1, byte-mean its weighted_f1_bytes."),
    ] = Normalisation.sum,
    data_dir: DataDir = None,
    results_dir: ResultsDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Make a run of the answers that lm-eval has logged of a task from export-tasks."""
    from harness.evaluation.importing import import_lm_eval

    (corpus,) = load_corpora([dataset], data_dir, plugin)
    layout = find_layout(results_dir)
    done = import_lm_eval(samples, corpus, split, name, layout, seed=seed, normalisation=normalisation.value)
    if as_json:
        print_json(asdict(done))
        return
    said = "imported" if done.status == "done" else "imported before"
    print_text(
        f"{said}: {done.predictor} on {done.dataset} ({done.split}), seed {done.seed}: {done.run_id}\n{done.path}"
    )
    print_text(f"\nto see it: erc-harness show {done.run_id}")
