"""What a predictor has learned, kept in the folder of its run until that is sealed."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.data.damage import SEAL, find_damage, seal, set_aside
from harness.data.writing import disk
from harness.predictors import Predictor
from harness.store.layout import CHECKPOINTS, FITTED

SUMS = f"fitted{SEAL}"
"""Beside what a predictor has saved: the checksums of it."""


def save_learned(predictor: Predictor, folder: Path) -> None:
    """Saves what was learned so that the folder is there whole or not at all."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    with disk(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        predictor.save(temporary)
        seal(temporary / SUMS, (path for path in temporary.rglob("*") if path.is_file()))
        temporary.rename(folder)


def check_learned(folder: Path, has_epochs: bool) -> None:
    """Moves what was learned aside if it is not what was written, so that it is learned anew."""
    damage = {name: find_damage(folder / name) for name in (FITTED, CHECKPOINTS)}
    if (folder / FITTED).is_dir() and not (folder / FITTED / SUMS).is_file():
        damage[FITTED] = f"it has no {SUMS}"
    for name, why in damage.items():
        if why is not None:
            set_aside(folder / name, why)
    if damage[CHECKPOINTS] is not None and has_epochs:  # they tell of every epoch only if all are made again
        shutil.rmtree(folder / FITTED, ignore_errors=True)
