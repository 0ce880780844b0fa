"""`erc-harness leaderboard build|check` and `erc-harness export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.bounded import read_bounded
from harness.cli.options import DataDir, Json, Plugins, Quiet, ResultsDir, find_layout
from harness.cli.output import note, print_json, print_text
from harness.cli.run import warn_missing
from harness.errors import ConfigError, StoreError
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
    spec, store = open_board(board, layout)
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
        if not _holds(layout.view(board, exporter), export_leaderboard(leaderboard, exporter).encode())
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


def _holds(path: Path, content: bytes) -> bool:
    """Returns whether a file is there and has this content."""
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def export(
    boards: Annotated[
        list[str],
        typer.Argument(help="Names of boards or datasets, several for one table; or path of a leaderboard.json."),
    ],
    to: Annotated[
        str, typer.Option("--to", help="latex, markdown, csv, json, console; every-eval-ever: a folder of records.")
    ] = "console",
    table: Annotated[
        str,
        typer.Option(
            help="main; datasets, side by side with their average; labels, F1 of each; ablation, rows against the one "
            "named with --full; or pairs."
        ),
    ] = "main",
    full: Annotated[
        str | None, typer.Option(help="With --table ablation: the row that the others are compared with.")
    ] = None,
    siunitx: Annotated[bool, typer.Option("--siunitx", help="In LaTeX: align numbers with siunitx.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of stdout; every-eval-ever: folder.")
    ] = None,
    instances: Annotated[
        bool,
        typer.Option("--instances", help="every-eval-ever: every prediction too; needs the corpora, to say if right."),
    ] = False,
    data_dir: DataDir = None,
    results_dir: ResultsDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Print a table of a board for a paper or a page, from the stored runs as they are now."""
    from harness.export import RECORDS, export_leaderboard
    from harness.store.atomic import write_atomic

    if to == RECORDS:
        from harness.cli.records import export_records

        if len(boards) > 1 or table != "main":
            raise ConfigError(f"--to {RECORDS} writes the records of one board; leave out --table and the other boards")
        export_records(boards[0], output, find_layout(results_dir), instances, data_dir, plugin, as_json)
        return
    if instances:
        raise ConfigError(f"--instances is for --to {RECORDS}; leave it out with {to!r}")
    leaderboard = _find_board(boards, table, results_dir)
    text = export_leaderboard(leaderboard, "json" if as_json else to, table, full=full, siunitx=siunitx)
    if output is None:
        print_text(text)
    else:
        write_atomic(output, text.encode())
        note(f"wrote {output}")


def _find_board(boards: list[str], table: str, results_dir: Path | None) -> Leaderboard:
    """Returns a board as stored or built, or several built as one."""
    from harness.export import read_leaderboard
    from harness.leaderboard.build import build_leaderboard, build_together

    stored = [name for name in boards if name.endswith(".json")]
    if stored and len(boards) > 1:
        raise ConfigError(f"{stored[0]!r} is a board by itself; give the boards of one table by their names")
    if stored:
        path = Path(stored[0])
        if not path.is_file():
            raise StoreError(f"{stored[0]!r} does not exist; give a board's name or the path of a leaderboard.json")
        try:
            return read_leaderboard(read_bounded(path).decode("utf-8", errors="replace"))
        except OSError as error:
            raise StoreError(f"{stored[0]!r} cannot be read: {error.strerror}; give a leaderboard.json") from error
    layout, labels = find_layout(results_dir), table == "labels"
    specs = {name: open_board(name, layout) for name in boards}
    store = next(store for _, store in specs.values())
    if len(specs) == 1:
        return build_leaderboard(boards[0], specs[boards[0]][0], store, labels=labels)
    return build_together({name: spec for name, (spec, _) in specs.items()}, store, labels=labels)


def build_board(board: str, layout: Layout) -> tuple[Leaderboard, list[str]]:
    """Returns a board, and the runs it asks for that are missing."""
    from harness.leaderboard.build import build_leaderboard, missing_runs

    spec, store = open_board(board, layout)
    return build_leaderboard(board, spec, store), missing_runs(spec, store)


def open_board(board: str, layout: Layout) -> tuple[BoardSpec, RunStore]:
    """Returns a board's specification, and the stored runs."""
    from harness.leaderboard.spec import load_spec
    from harness.store import RunStore

    return load_spec(board, layout), RunStore(layout)
