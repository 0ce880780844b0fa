"""`erc-harness run`: makes what is missing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import calls as options
from harness.cli.options import DataDir, Json, Plugins, Quiet, ResultsDir, find_data_dir, find_layout
from harness.cli.output import note, print_json, print_text
from harness.errors import ConfigError
from harness.schema.run import Job, RunOutcome, RunStatus
from harness.store.layout import Layout

if TYPE_CHECKING:
    from harness.evaluation.jobs import PreparedRun


def run(
    predictors: Annotated[list[str] | None, typer.Argument(help="Names of predictors.", show_default=False)] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Datasets: names, or folders with a card.toml. Takes several.")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seeds: --seed 0 1 2. Default: 0.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-P", help="Parameter of the predictors: key=value.")
    ] = None,
    board: Annotated[str | None, typer.Option(help="Make the runs that this board asks for, and are missing.")] = None,
    split: Annotated[str | None, typer.Option(help="Split to predict: dev or test. Default: test.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    shards: Annotated[
        int, typer.Option(min=1, help="Parts into which each run is cut whose predictor learns nothing.")
    ] = 1,
    executor: Annotated[
        str | None,
        typer.Option(help="Where runs are made: serial, processes or ray. Default: processes if --jobs is above 1."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster: auto or HOST:PORT. Default: RAY_ADDRESS, else this machine.")
    ] = None,
    jobs_per_gpu: Annotated[
        int | None, typer.Option(min=1, help="Runs that share one GPU of the cluster. Default: what their cards say.")
    ] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option(
            "--resource",
            "-R",
            help="What a run takes there, not what its card says: cpus=4, gpus=1, memory=16 (GiB).",
        ),
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Throw sealed runs away and make them again.")] = False,
    dry_run: options.DryRun = False,
    max_cost: options.MaxCost = None,
    max_tokens_total: options.MaxTokensTotal = None,
    prices: options.Prices = None,
    concurrency: options.Concurrency = 32,
    requests_per_minute: options.RequestsPerMinute = None,
    tokens_per_minute: options.TokensPerMinute = None,
    timeout_seconds: options.TimeoutSeconds = 60.0,
    max_retries: options.MaxRetries = 6,
    batch_api: options.BatchApi = False,
    batch_size: options.BatchSize = 32,
    download: options.Download = False,
    cache: options.Cache = None,
    data_dir: DataDir = None,
    results_dir: ResultsDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run predictors on datasets; finished runs are skipped, interrupted ones go on."""
    from harness.evaluation.executors import ExecutorSettings, build_executor
    from harness.evaluation.jobs import Settings, plan
    from harness.llm.calls import CallSettings
    from harness.predictors.plugins import load_plugins

    from .dry_run import show_estimates
    from .progress import RunDisplay

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "run is for one process; train with several: accelerate launch -m harness tune PREDICTOR --dataset NAME, "
            "then run in one: what is trained is found"
        )
    layout = find_layout(results_dir)
    plugins = tuple(plugin or ())
    load_plugins(plugins)
    if board is not None and (predictors or dataset or seed or param or split):
        raise ConfigError("--board says what to run: give no predictor, --dataset, --split, --seed or -P with it")
    wanted = (
        named_jobs(predictors, dataset, split or "test", seed, param) if board is None else _board_jobs(board, layout)
    )
    where = ExecutorSettings(jobs, address, shards, parse_resources(resource or (), jobs_per_gpu))
    if executor == "serial" and jobs > 1:
        raise ConfigError(f"--executor serial makes one run after another; leave out --jobs {jobs}, or the executor")
    spread_by = f"--jobs {jobs}" if jobs > 1 else f"--executor {executor}" if executor not in (None, "serial") else ""
    calls = CallSettings(
        concurrency, requests_per_minute, tokens_per_minute, timeout_seconds, max_retries, batch_size, batch_api,
        options.make_budget(max_cost, max_tokens_total, spread_by), download, cache, prices,
    )  # fmt: skip
    settings = Settings(layout.root, find_data_dir(data_dir), plugins, rerun, calls)
    runs = plan(wanted, settings)
    place = build_executor(executor or ("processes" if jobs > 1 and shards * len(runs) > 1 else "serial"), where)
    if dry_run:
        show_estimates(runs, settings, as_json)
        return
    if not quiet:
        _note_dropped_seeds(wanted, runs)
        if shards > 1:
            _note_whole_runs(runs)
    with RunDisplay(runs, quiet) as display:
        outcomes = place.execute(runs, settings, display.on_progress, display.on_outcome)
    if as_json:
        print_json({"runs": [asdict(outcome) for outcome in outcomes]})
    else:
        print_text(_summary(outcomes, layout))
    if any(outcome.status in ("failed", "incomplete") for outcome in outcomes):
        raise typer.Exit(3)


def _note_dropped_seeds(wanted: Sequence[Job], runs: Sequence[PreparedRun]) -> None:
    """Says which seeds a deterministic predictor does not need."""
    for run in runs:
        same = (run.job.predictor, run.job.params, run.job.dataset)
        seeds = {job.seed for job in wanted if (job.predictor, job.params, job.dataset) == same} - {run.job.seed}
        if run.card.deterministic and seeds:
            note(f"{run.spec.name} is deterministic: it runs with seed {run.job.seed} only")


def _note_whole_runs(runs: Sequence[PreparedRun]) -> None:
    """Says which runs are not cut into shards."""
    whole = dict.fromkeys(run.spec.name for run in runs if not run.spec.build.can_shard(run.params))
    if whole:
        note(f"{', '.join(whole)}: made whole, because what learns is not cut into shards")


def named_jobs(
    predictors: Sequence[str] | None,
    datasets: Sequence[str] | None,
    split: str,
    seeds: Sequence[int] | None,
    params: Sequence[str] | None,
) -> list[Job]:
    if not predictors:
        raise ConfigError(
            "no predictor given; type: erc-harness run PREDICTOR --dataset NAME (see: erc-harness list predictors)"
        )
    if not datasets:
        raise ConfigError("no dataset given; add --dataset NAME (see: erc-harness list datasets)")
    if split not in ("dev", "test"):
        raise ConfigError(f"--split {split!r}: expected dev or test")
    given = parse_params(params or ())
    return [Job(p, given, d, split, s) for d in datasets for p in predictors for s in seeds or [0]]


def _board_jobs(board: str, layout: Layout) -> list[Job]:
    from harness.leaderboard.spec import load_spec
    from harness.llm.server.address import check_named_by_file

    jobs = load_spec(board, layout).jobs()
    for job in jobs:
        check_named_by_file(job.params, f"board {board!r}")
    if not jobs:
        raise ConfigError(f"board {board!r} names no predictor; add [[predictors]] to {layout.board_spec(board)}")
    return jobs


def parse_resources(given: Sequence[str], jobs_per_gpu: int | None) -> dict[str, float]:
    """Returns what each run takes of a machine whatever its card says: `key=number` words, and a share of a GPU.

    Raises:
        ConfigError: a word has no number from 0 up, a resource has Ray's name where we have another one, or GPUs are
            asked for in both ways.
    """
    from harness.evaluation.executors.room import RAY_NAMES

    resources = {}
    ours = {ray: name for name, (ray, _) in RAY_NAMES.items()}
    for key, value in parse_params(given, "-R", "gpus=1").items():
        if ours.get(key, key) != key:
            raise ConfigError(f"-R {key}={value}: that is Ray's own name; type -R {ours[key]}={value}")
        try:
            resources[key] = float(value)
        except ValueError:
            resources[key] = -1.0
        if not 0 <= resources[key] < float("inf"):
            raise ConfigError(f"-R {key}={value}: expected a number from 0 up, such as -R gpus=1 or -R memory=16 (GiB)")
    if jobs_per_gpu is not None:
        if "gpus" in resources:
            raise ConfigError(f"--jobs-per-gpu {jobs_per_gpu} and -R gpus={resources['gpus']:g}: give one of them")
        resources["gpus"] = 1 / jobs_per_gpu
    return resources


def parse_params(given: Sequence[str], option: str = "-P", example: str = "history=2") -> dict[str, Any]:
    """Returns `key=value` words as a mapping; values stay strings until the predictor's annotations are known.

    Raises:
        ConfigError: a word has no '=', or a key comes twice.
    """
    params: dict[str, Any] = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"{option} {word!r}: expected key=value, such as {option} {example}")
        if key in params:
            raise ConfigError(f"{option} {key!r} is given twice: {params[key]!r} and {value!r}")
        params[key] = value
    return params


def _summary(outcomes: Sequence[RunOutcome], layout: Layout) -> str:
    counts = Counter(outcome.status for outcome in outcomes)
    words: dict[RunStatus, str] = {"done": "made now", "skipped": "made before"}
    said = ", ".join(f"{n} {words.get(status, status)}" for status, n in counts.items())
    folder = outcomes[0].path if len(outcomes) == 1 else layout.runs
    return f"{len(outcomes)} run{'s' if len(outcomes) != 1 else ''}: {said}; in {folder}"


def warn_missing(missing: Sequence[str], board: str) -> None:
    """Says on stderr which runs a board asks for and does not have."""
    shown = "; ".join(missing[:4]) + (f"; and {len(missing) - 4} more" if len(missing) > 4 else "")
    note(
        f"warning: {len(missing)} runs of board {board!r} are missing ({shown}); type: erc-harness run --board {board}"
    )
