"""Damage on the disk: found by checksums, moved aside under another name, never deleted and never used.

Only what the project can make anew is moved aside: caches, checkpoints, fitted models, logs. Sealed runs are refused
instead (`harness.store`), since only the user can tell whether to restore or to repeat them.

FOLDER/NAME.seal.json       {"content": ..., "files": {name: SHA-256}, "sha256": of the two before}, written last
FOLDER/NAME.damaged         what was moved aside; .2.damaged, .3.damaged, ... where there is one already
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.bounded import open_regular, parse_json, read_bounded
from harness.data.writing import disk, neighbour, settle

SEAL = ".seal.json"
"""End of the name of a file that tells the checksums of others beside it, and its own."""

FOLDER_SEAL = f"folder{SEAL}"
"""What seals all files of a folder."""

ASIDE = ".damaged"
"""End of the name of what was moved aside."""

_log = logging.getLogger(__name__)


def sha256_of_file(path: Path) -> str:
    """Returns the SHA-256 of a file, 64 hex digits, in bounded memory; raises OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_aside(path: Path, why: str) -> Path:
    """Moves a damaged file or folder out of the way, says so in one line on stderr, and returns where it is now.

    Raises:
        StoreError: the folder cannot be written.
    """
    names = (f"{path.name}{f'.{n}' if n > 1 else ''}{ASIDE}" for n in itertools.count(1))
    target = next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))
    with disk(path):
        path.rename(target)
    _log.warning("%s is damaged (%s): moved to %s, and made anew", path, why, target.name)
    return target


def seal(path: Path, files: Iterable[Path], content: Any = None, known: Any = None) -> dict[str, str]:
    """Writes at once what other files of a folder are, so that damage to any of them is seen; returns their checksums.

    Args:
        path: NAME.seal.json.
        files: in the same folder, whole, or in one below it.
        content: JSON value to keep beside.
        known: checksums by name of further files, that are there already.

    Raises:
        OSError: the folder cannot be written.
    """
    sums = {**(known or {}), **{file.relative_to(path.parent).as_posix(): sha256_of_file(file) for file in files}}
    part = neighbour(path)
    record = {"content": content, "files": sums}
    part.write_text(json.dumps({**record, "sha256": _digest(record)}, indent=1) + "\n", encoding="utf-8")
    settle(part, path)
    return sums


def read_seal(path: Path) -> tuple[Any, dict[str, str]]:
    """Returns content and checksums that `seal` wrote, without looking at the files; raises OSError, ValueError."""
    record = parse_json(read_bounded(path))
    if not isinstance(record, dict) or record.keys() != {"content", "files", "sha256"}:
        raise ValueError(f"{path.name} is no list of checksums")
    if record.pop("sha256") != _digest(record):
        raise ValueError(f"{path.name} is not what was written")
    return record["content"], record["files"]


def damage_of(path: Path) -> str | None:
    """Returns what is wrong with the files that NAME.seal.json seals, in a few words; None if nothing."""
    try:
        for name, sha256 in read_seal(path)[1].items():
            if sha256_of_file(path.parent / name) != sha256:
                return f"{name} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.EFBIG):
            raise
        return f"{Path(error.filename).name}: {error.strerror}"
    except ValueError as error:
        return str(error)
    return None


def find_damage(folder: Path) -> str | None:
    """Returns what is wrong with the sealed files of a folder, as `damage_of`; files that no seal knows do not count.

    Raises:
        StoreError: a file cannot be read.
    """
    with disk(folder):
        return next(filter(None, map(damage_of, sorted(folder.glob(f"*{SEAL}")))), None)


def seal_folder(folder: Path) -> None:
    """Seals a folder with all that is in it; raises OSError."""
    seal(folder / FOLDER_SEAL, sorted(path for path in folder.rglob("*") if path.is_file()))


def is_whole(folder: Path) -> bool:
    """Returns whether a folder is what `seal_folder` has sealed; raises StoreError where a file cannot be read."""
    return (folder / FOLDER_SEAL).is_file() and find_damage(folder) is None


def keep_whole(folder: Path) -> bool:
    """Returns whether a folder is whole, after moving one aside that is not; whoever calls it holds a lock."""
    if not os.path.lexists(folder):
        return False
    damage = find_damage(folder) or ("" if (folder / FOLDER_SEAL).is_file() else f"it has no {FOLDER_SEAL}")
    if damage:
        set_aside(folder, damage)
    return not damage


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
