"""`erc-harness export --to every-eval-ever`: a board as a folder of records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.cli.corpora import load_corpora
from harness.cli.leaderboard import build_board
from harness.cli.output import note, print_json, print_text
from harness.errors import ConfigError
from harness.export import RECORDS
from harness.store import RunStore
from harness.store.atomic import open_atomic
from harness.store.layout import Layout


def export_records(
    board: str,
    folder: Path | None,
    layout: Layout,
    instances: bool,
    data_dir: Path | None,
    plugin: Sequence[str] | None,
    as_json: bool,
) -> None:
    """Writes the records of a board to a folder and says what was written; files of the same name are replaced.

    Raises:
        ConfigError: no folder, or a file in the place of a board's name: records need the runs.
        HarnessError: as `build_board`, `load_corpora` and `to_every_eval_ever`.
    """
    from harness.export.every_eval_ever import SCHEMA, to_every_eval_ever

    if folder is None:
        raise ConfigError(f"{RECORDS} is a folder of files; type: erc-harness export {board} --to {RECORDS} -o DIR")
    if board.endswith(".json"):
        raise ConfigError(f"{board!r} holds no runs, which {RECORDS} tells of; give the name of a board")
    leaderboard, _ = build_board(board, layout)
    names = [header.dataset for header in leaderboard.datasets]
    corpora = {corpus.name: corpus for corpus in load_corpora(names, data_dir, plugin)} if instances else {}
    files = []
    for name, content in to_every_eval_ever(leaderboard, RunStore(layout), corpora):
        with open_atomic(folder / name, "choose another --output") as file:
            file.write(content)
        files.append(name)
    if as_json:
        print_json({"board": board, "dir": str(folder), "schema": SCHEMA, "files": files})
        return
    print_text("\n".join(str(folder / name) for name in files))
    closed = [name for name, corpus in corpora.items() if corpus.card.redistributable]
    note(f"{RECORDS} {SCHEMA}; who publishes is not known here: fill in source_organization_name before you pass it on")
    if closed:
        note(f"samples hold the text of {', '.join(closed)}: its licence allows to pass it on, under its terms")
