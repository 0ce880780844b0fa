"""What an unfinished run leaves in its folder, or beside it, and how it goes away."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.store.layout import AGAIN, CHECKPOINTS, ERROR, FITTED, LOG, MANIFEST, SEALED, SHARDS, is_sealed


def finish_swap(folder: Path) -> None:
    """Puts a run that was made again, and is whole, in the place of the old one, wherever a kill has left it."""
    again = folder.with_name(f"{folder.name}{AGAIN}")
    if is_sealed(again):
        move_sealed(again, folder)
        shutil.rmtree(again)


def move_sealed(source: Path, folder: Path) -> None:
    """Moves the files of a sealed run to its folder, in the place of an older one there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in SEALED:
        if (source / name).exists():
            (source / name).replace(folder / name)


def has_traces(folder: Path) -> bool:
    """Returns whether a sealed run's folder holds more than the run, and what was moved aside."""
    return any(path.name not in SEALED and path.suffix != ".damaged" for path in folder.iterdir())


def remove_traces(folder: Path) -> None:
    """Removes what only an unfinished run needs."""
    for path in (folder / LOG, folder / ERROR, *folder.glob(".*.tmp"), *folder.glob("*.part")):
        path.unlink(missing_ok=True)
    for name in (FITTED, f"{FITTED}.tmp", CHECKPOINTS, SHARDS):
        shutil.rmtree(folder / name, ignore_errors=True)
