"""`erc-harness leaderboard build|check` and `erc-harness export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.bounded import read_bounded
from harness.cli.options import Json, Quiet, ResultsDir, find_layout
from harness.cli.output import note, print_json, print_text
from harness.cli.run import warn_missing
from harness.errors import StoreError
from harness.leaderboard.leaderboard import Leaderboard
from harness.store.layout import VIEWS, Layout

if TYPE_CHECKING:
    from harness.leaderboard.spec import BoardSpec
    from harness.store import RunStore

app = typer.Typer(no_args_is_help=True, help="Build and check leaderboards from stored runs.")

Board = Annotated[str, typer.Argument(help="Name of a folder under results/leaderboards, or of a dataset with runs.")]


@app.command()
def build(board: Board, results_dir: ResultsDir = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Build a board from stored runs, write its views and print it; needs no model and no corpus."""
    from harness.export import export_leaderboard
    from harness.store.atomic import write_atomic

    layout = find_layout(results_dir)
    leaderboard, missing = build_board(board, layout)
    for exporter in VIEWS:
        write_atomic(layout.view(board, exporter), export_leaderboard(leaderboard, exporter).encode())
    if as_json:
        print_json(json.loads(export_leaderboard(leaderboard, "json")))
    else:
        print_text(export_leaderboard(leaderboard, "console"))
        print_text(f"\nviews: {layout.board(board)}/{{{','.join(VIEWS.values())}}}")
    if missing:
        if not quiet:
            warn_missing(missing, board)
        raise typer.Exit(3)


@app.command()
def check(board: Board, results_dir: ResultsDir = None, as_json: Json = False) -> None:
    """Fail if a committed view of a board is not what its runs give; a planned board has neither runs nor views."""
    from harness.export import export_leaderboard
    from harness.leaderboard.build import board_progress, build_leaderboard

    layout = find_layout(results_dir)
    spec, store = _open(board, layout)
    progress = board_progress(board, spec, store)
    if progress.planned:
        if as_json:
            print_json({"board": board, "fresh": True, "stale": [], "planned": True})
        else:
            print_text(
                f"board {board!r} is planned: 0 of up to {len(progress.missing)} runs are here; "
                f"type: erc-harness run --board {board}"
            )
        return
    leaderboard = build_leaderboard(board, spec, store)
    stale = [
        VIEWS[exporter]
        for exporter in VIEWS
        if not layout.view(board, exporter).is_file()
        or layout.view(board, exporter).read_bytes() != export_leaderboard(leaderboard, exporter).encode()
    ]
    if as_json:
        print_json({"board": board, "fresh": not stale, "stale": stale, "planned": False})
    if stale:
        raise StoreError(
            f"board {board!r} is stale: {', '.join(stale)} differ from the stored runs; "
            f"type: erc-harness leaderboard build {board}"
        )
    if not as_json:
        print_text(f"board {board!r} is fresh: all {len(VIEWS)} views are what the stored runs give")


def export(
    board: Annotated[str, typer.Argument(help="Name of a board or dataset, or path of a leaderboard.json.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", help="latex, markdown, csv, json, console; all pairs: pairs-csv, pairs-json, pairs-latex."
        ),
    ] = "console",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.")] = None,
    results_dir: ResultsDir = None,
    as_json: Json = False,
) -> None:
    """Print a board for a paper or a page, from the stored runs as they are now."""
    from harness.export import export_leaderboard, read_leaderboard
    from harness.store.atomic import write_atomic

    path = Path(board)
    if path.suffix == ".json":
        if not path.is_file():
            raise StoreError(f"{board!r} does not exist; give a board's name or the path of a leaderboard.json")
        try:
            text = read_bounded(path).decode("utf-8", errors="replace")
        except OSError as error:
            raise StoreError(f"{board!r} cannot be read: {error.strerror}; give a leaderboard.json") from error
        leaderboard = read_leaderboard(text)
    else:
        leaderboard, _ = build_board(board, find_layout(results_dir))
    text = export_leaderboard(leaderboard, "json" if as_json else to)
    if output is None:
        print_text(text)
    else:
        write_atomic(output, text.encode())
        note(f"wrote {output}")


def build_board(board: str, layout: Layout) -> tuple[Leaderboard, list[str]]:
    """Returns a board, and the runs it asks for that are missing."""
    from harness.leaderboard.build import build_leaderboard, missing_runs

    spec, store = _open(board, layout)
    return build_leaderboard(board, spec, store), missing_runs(spec, store)


def _open(board: str, layout: Layout) -> tuple[BoardSpec, RunStore]:
    """Returns a board's specification, and the stored runs."""
    from harness.leaderboard.spec import load_spec
    from harness.store import RunStore

    return load_spec(board, layout), RunStore(layout)
