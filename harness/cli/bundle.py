"""`erc-harness bundle` and `erc-harness verify`: a board as a folder for a paper and its reviewers, and its check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.leaderboard import Board, open_board
from harness.cli.options import Json, Quiet, ResultsDir, find_layout
from harness.cli.output import note, print_json, print_text
from harness.cli.run import warn_missing
from harness.errors import StoreError


def bundle(
    board: Board,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; files there are replaced.")],
    results_dir: ResultsDir = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write tables, figures, statistics and appendix of a board for a paper, and what verifies every number in them."""
    from harness.bundle.build import NO_FIGURES, build_bundle
    from harness.leaderboard.build import missing_runs
    from harness.store.atomic import open_atomic

    spec, store = open_board(board, find_layout(results_dir))
    files = build_bundle(board, spec, store)
    for name, content in files.items():
        with open_atomic(output / name, "choose another --output") as file:
            file.write(content)
    drawn = any(name.startswith("figures/") for name in files)
    missing = missing_runs(spec, store)
    if as_json:
        print_json({"board": board, "dir": str(output), "files": list(files), "figures": drawn})
    else:
        print_text(f"{output}: {len(files)} files, {sum(map(len, files.values())) / 2**20:.1f} MiB")
        print_text(f"check them: erc-harness verify {output}, or python {output / 'verify.py'}")
    if not drawn and not quiet:
        note(f"figures: {NO_FIGURES}")
    if missing:
        if not quiet:
            warn_missing(missing, board)
        raise typer.Exit(3)


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `erc-harness bundle` wrote.")],
    as_json: Json = False,
) -> None:
    """Recompute every number in a bundle from the counts in it, compare all hashes, and name what differs."""
    from harness.bundle.verifying.lock import LOCK
    from harness.bundle.verifying.main import check_bundle

    if not (folder / LOCK).is_file():
        raise StoreError(f"{folder} holds no {LOCK}: it is no bundle; type: erc-harness bundle BOARD -o {folder}")
    report = check_bundle(folder)
    found = report.differences
    if as_json:
        print_json({"dir": str(folder), "n_numbers": report.n_numbers, "differences": [d._asdict() for d in found]})
    elif found:
        print_text("\n".join(map(str, found)))
    else:
        print_text(f"verified: {report.n_numbers:,} numbers in LaTeX files")
    if found:
        n = f"{len(found)} difference{'' if len(found) == 1 else 's'}"
        raise StoreError(f"{folder} is not what was bundled: {n}; restore the files that are named, or bundle again")
