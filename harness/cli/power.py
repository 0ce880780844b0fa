"""`erc-harness power`: a study planned before it is run."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataDir, Json, Plugins, Quiet, ResultsDir, find_data_dir, find_layout
from harness.cli.output import note, print_json, print_text

if TYPE_CHECKING:
    from harness.evaluation.planning import Measured, SplitSize, StudyPlan
    from harness.leaderboard.leaderboard import Leaderboard
    from harness.store.layout import Layout


def power(
    dataset: Annotated[str, typer.Argument(help="Dataset whose test split is to be used.")],
    difference: Annotated[
        float, typer.Option(help="True difference to be found, a fraction: 0.01 is one point.")
    ] = 0.01,
    disagreement: Annotated[
        float | None,
        typer.Option(
            help="Share of utterances on which two systems differ. Default: errors of stored runs, else 0.10."
        ),
    ] = None,
    systems: Annotated[int, typer.Option(help="Number of systems to be compared, all with all.")] = 20,
    data_dir: DataDir = None,
    results_dir: ResultsDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plan a study: smallest difference its test split can show, power, dialogues and seeds needed."""
    from harness.evaluation.planning import plan_study

    board = _stored_board(dataset, find_layout(results_dir))
    if board:
        split, measured = _size_on(board, dataset), _measured_on(board, dataset)
    else:
        split, measured = _size_of_corpus(dataset, data_dir, plugin), None
    plan = plan_study(
        split,
        measured if disagreement is None else None,
        difference=difference,
        disagreement=0.1 if disagreement is None else disagreement,
        n_systems=systems,
    )
    if not quiet:
        for warning in plan.warnings:
            note(f"warning: {warning}")
    if as_json:
        print_json(asdict(plan))
        return
    for line in describe(plan):
        print_text(textwrap.fill(line, 110, subsequent_indent="  ", break_on_hyphens=False))


def describe(plan: StudyPlan) -> list[str]:
    """Returns a plan in sentences, one a line."""
    points = f"{100 * plan.difference:g}"
    gap = f"{points} point{'' if points == '1' else 's'}"
    pairs = f"all {plan.n_pairs} pairs of {plan.n_systems} systems"
    single, every = (f"{100 * share:.1f} points" for share in (plan.detectable_single, plan.detectable_all))
    return [
        f"{plan.dataset}, test: {plan.n_utterances:,} utterances in {plan.n_dialogues:,} dialogues worth "
        f"{plan.effective_clusters:.0f} equal ones.",
        f"Standard error of a difference: {100 * plan.se:.2f} points, {'measured' if plan.measured else 'planned'}.",
        *(f"- {assumption}" for assumption in plan.assumptions),
        "",
        f"MDE80: with 80% power one test finds a true difference of {single}, a test among {pairs} one of {every}.",
        f"Power: a true difference of {gap} is found with probability {plan.power_single:.0%} by one test, "
        f"{plan.power_all:.0%} among all pairs.",
        f"Dialogues: to find {gap} with 80% power takes about {plan.dialogues_single:,} of them for one test, "
        f"{plan.dialogues_all:,} among all pairs; this split has {plan.n_dialogues:,}.",
        f"Seeds: {plan.seeds} for each system with random training keep what seeds add at 10% of the variance of "
        "dialogues or less; further seeds change little.",
    ]


def _stored_board(dataset: str, layout: Layout) -> Leaderboard | None:
    """Returns the board of a dataset: the one of its name, else one of all its runs; None without runs."""
    from harness.leaderboard.build import build_leaderboard
    from harness.leaderboard.spec import BoardSpec, load_spec
    from harness.store import RunStore

    store = RunStore(layout)
    if Path(dataset).name != dataset or not store.runs(dataset, "test"):
        return None
    spec = load_spec(dataset, layout)
    if dataset not in spec.datasets or spec.split != "test":
        spec = BoardSpec(datasets=(dataset,), other_runs=True)
    return build_leaderboard(dataset, spec, store)


def _size_on(board: Leaderboard, dataset: str) -> SplitSize:
    from harness.evaluation.planning import SplitSize

    header = next(header for header in board.datasets if header.dataset == dataset)
    return SplitSize(dataset, header.n_utterances, header.n_dialogues, header.effective_clusters, header.warnings)


def _measured_on(board: Leaderboard, dataset: str) -> Measured | None:
    from harness.evaluation.planning import Measured

    header = next(header for header in board.datasets if header.dataset == dataset)
    if not header.median_pair_se:
        return None
    seeds = tuple(
        entry.n_seeds * max(entry.se_seed**2 - entry.se_interaction**2, 0.0)
        for entry in board.of_dataset(dataset)
        if entry.se_seed > 0
    )
    source = f"median of {header.n_pairs} pairs on board {board.board!r}, {header.metric}, scope {board.scope}"
    return Measured(header.median_pair_se, header.n_pairs, seeds, source)


def _size_of_corpus(dataset: str, data_dir: Path | None, plugin: list[str] | None) -> SplitSize:
    from harness.data import load_dataset
    from harness.evaluation.planning import SplitSize
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    loaded = load_dataset(dataset, find_data_dir(data_dir))
    split = loaded.split("test")
    sizes = [len(dialogue.labelled()) for dialogue in split.dialogues if dialogue.labelled()]
    effective = sum(sizes) ** 2 / sum(size**2 for size in sizes)
    return SplitSize(loaded.name, sum(sizes), len(sizes), effective, loaded.card.table_notes)
