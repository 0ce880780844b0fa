"""`erc-harness report`: a board as a page for a browser, and as figures for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.leaderboard import Board, build_board
from harness.cli.options import DataDir, Json, Plugins, ResultsDir, find_data_dir, find_layout
from harness.cli.output import note, print_json, print_text

if TYPE_CHECKING:
    from harness.data import Split
    from harness.leaderboard.leaderboard import Leaderboard

PAGE = "index.html"


def report(
    board: Board,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; files there are replaced.")],
    dialogues: Annotated[
        bool,
        typer.Option("--dialogues", help="Show the dialogues of the corpora too: keep the page to yourself."),
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw figures for a paper too, as PDF and SVG; needs matplotlib.")
    ] = False,
    data_dir: DataDir = None,
    results_dir: ResultsDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Write a board as one page that works without a server, from the stored runs as they are now."""
    from harness.report import build_report
    from harness.store import RunStore
    from harness.store.atomic import open_atomic

    layout = find_layout(results_dir)
    store = RunStore(layout)
    leaderboard, _ = build_board(board, layout)
    splits = _read_splits(leaderboard, data_dir, plugin) if dialogues else {}
    files = {PAGE: build_report(leaderboard, store, splits).encode()}
    if figures:
        from harness.report.figures import draw_figures

        files |= {f"figures/{name}": content for name, content in draw_figures(leaderboard, store).items()}
    for name, content in files.items():
        with open_atomic(output / name, "choose another --output") as file:
            file.write(content)
    if as_json:
        print_json({"board": board, "dir": str(output), "files": list(files), "holds_corpus_text": dialogues})
        return
    print_text("\n".join(str(output / name) for name in files))
    if dialogues:
        note("the page holds text of the corpus: keep it to yourself where the licence says so")


def _read_splits(leaderboard: Leaderboard, data_dir: Path | None, plugin: list[str] | None) -> dict[str, Split]:
    """Returns the split behind each dataset of a board."""
    from harness.data import load_dataset
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    folder = find_data_dir(data_dir)
    return {header.dataset: load_dataset(header.dataset, folder).split(header.split) for header in leaderboard.datasets}
