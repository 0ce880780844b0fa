"""`erc-harness literature list|compare|check`: published results, and what becomes of them when they are made again."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import Json, ResultsDir, find_layout
from harness.cli.output import print_json, print_table, print_text

if TYPE_CHECKING:
    from harness.leaderboard.published import Reproduction
    from harness.literature import PublishedValue

app = typer.Typer(no_args_is_help=True, help="Published results: list them, compare them with ours, check their sums.")

WIDTH = 110
UNVERIFIED = " ?"
"""Behind a value that was seen in no primary source."""


@app.command(name="list")
def list_values(
    dataset: Annotated[
        str | None, typer.Option(help="One of our datasets, or a corpus; values on any release of it are listed.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="Name of a system; adds what is known to be wrong.")] = None,
    metric: Annotated[str | None, typer.Option(help="Name of a metric.")] = None,
    as_json: Json = False,
) -> None:
    """List published values with where they come from; '?' marks those that nobody has verified."""
    from harness.literature import load_literature

    literature = load_literature()
    values = literature.find(corpus=dataset, system=system, metric=metric)
    if as_json:
        print_json({"published": [_record(value) for value in values]})
        return
    print_table([_row(value) for value in values])
    n_unverified = sum(not value.verified for value in values)
    print_text(f"\n{len(values)} values in percent, {n_unverified} of them unverified (?)")
    if system is not None:
        _print_list(f"{v.cited}, {v.name}: {problem}" for v in values for problem in v.problems)


@app.command()
def compare(
    board: Annotated[str, typer.Argument(help="Name of a folder under results/leaderboards, or of a dataset.")],
    results_dir: ResultsDir = None,
    as_json: Json = False,
) -> None:
    """Set the rows of a board beside what papers report for the same systems, and say why the two may not compare.

    A board with a section [literature] takes the tables that it names, any other all tables.
    """
    from harness.leaderboard.build import build_leaderboard
    from harness.leaderboard.published import compare_with_published, open_literature
    from harness.leaderboard.spec import load_spec
    from harness.store import RunStore

    layout = find_layout(results_dir)
    spec, store = load_spec(board, layout), RunStore(layout)
    literature = open_literature(board, spec.literature, layout)
    built = build_leaderboard(board, spec, store)
    found = compare_with_published(built, spec, literature, store)
    if as_json:
        print_json({"board": board, "alpha": built.alpha, "reproductions": [asdict(one) for one in found]})
        return
    if not found:
        print_text(f"no row of board {board!r} is called like a published system; type: erc-harness literature list")
        return
    print_table([_comparison(number, one) for number, one in enumerate(found, start=1)])
    print_text(
        f"\nPercent; difference: ours minus reported; inside: whether the reported value lies in our "
        f"{100 * (1 - built.alpha):.6g}% interval. No test: nobody here has the predictions behind a reported value."
    )
    for number, one in enumerate(found, start=1):
        verdict = "nothing forbids the comparison" if one.sound else "the comparison is unsound"
        print_text(f"\n{number}. {one.predictor} on {one.dataset} and {one.name} ({one.cited}): {verdict}")
        _print_list((*(mismatch.text for mismatch in one.mismatches), *(f"known: {p}" for p in one.problems)))


@app.command()
def check(
    file: Annotated[list[Path] | None, typer.Argument(help="Files of published results of your own.")] = None,
    as_json: Json = False,
) -> None:
    """Check files of published results, and say which printed averages, gains and claims their values contradict."""
    from harness.literature import find_slips, load_literature

    literature = load_literature(file or ())
    slips = find_slips(literature)
    n_tables, n_values = len(literature.tables), len(literature.values)
    if as_json:
        print_json({"n_tables": n_tables, "n_values": n_values, "slips": [asdict(slip) for slip in slips]})
        return
    print_text(f"{n_values} values in {n_tables} tables are well formed; what the tables contradict in themselves:")
    _print_list(slip.text for slip in slips)


def _record(value: PublishedValue) -> dict[str, Any]:
    """Returns a value for scripts: as it is, with what is printed as text, so that no digit is lost."""
    return {**asdict(value), "printed": str(value.printed)}


def _row(value: PublishedValue) -> dict[str, object]:
    return {
        "system": value.system,
        "variant": value.variant,
        "data": value.protocol,
        "metric": value.metric,
        "value": f"{value.printed}{'' if value.verified else UNVERIFIED}",
        "seeds": value.seeds,
        "chosen_on": value.selection,
        "features": value.features,
        "by": value.provenance,
        "table": value.table,
    }


def _comparison(number: int, one: Reproduction) -> dict[str, object]:
    from harness.export import numbers

    return {
        "": number,
        "dataset": one.dataset,
        "predictor": one.predictor,
        "metric": one.metric,
        "reported": f"{numbers.percent(one.reported)}{'' if one.verified else UNVERIFIED}",
        "by": one.provenance,
        "source": one.cited,
        "ours": f"{numbers.percent(one.reproduced)} {numbers.interval(one.low, one.high)}",
        "difference": numbers.points(one.difference),
        "inside": {True: "yes", False: "no", None: None}[one.inside],
        "sound": "yes" if one.sound else "no",
    }


def _print_list(lines: Any) -> None:
    for line in dict.fromkeys(lines):
        print_text(textwrap.fill(f"- {line}", WIDTH, subsequent_indent="  ", break_on_hyphens=False))
