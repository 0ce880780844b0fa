"""Where weights lie on this machine, and what they are called in results: by content or by commit, never by path.

Imports no torch and loads no weights. Knows no back end.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.data.cache_folder import cache_folder
from harness.errors import MissingDependencyError, ModelError
from harness.redaction import redact

PATTERNS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf", "*.json", "*.model", "*.txt", "*.tiktoken", "*.jinja")
"""Files of a folder that say what a model answers: weights, configuration, tokenizer, chat template."""

CODE = ("*.py",)
"""Code that comes with the weights."""

LEFTOVERS = re.compile(
    r"(optimizer|scheduler|scaler|rng_state.*|training_args|trainer_state|all_results|.*_results)\..*"
)
"""Files that training leaves beside the weights."""

SETTLED_SECONDS = 2.0
"""A younger file may change again within one tick of the file system's clock: its hash is not remembered."""

HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?")

CONTENT_NAME = re.compile(r"[a-z0-9._-]+@[0-9a-f]{8}")
"""What `content_name` returns; such a model is looked for in ERC_MODELS_DIR."""


@dataclass(frozen=True, slots=True)
class Located:
    """Weights, or a LoRA adapter, found on this machine or at the hub."""

    source: str
    """What `from_pretrained` takes: a folder, or a name at the hub."""
    commit: str | None
    """Commit at the hub; None for a folder."""
    name: str
    """What results call it: name and content of a folder, or the name at the hub."""


def locate(name: str, revision: str | None = None, *, download: bool = False, marker: str = "config.json") -> Located:
    """Returns where a model is: a folder, one in ERC_MODELS_DIR, or in the local cache of the hub.

    Args:
        name: folder, name at the hub, or a name that `content_name` gave to a folder in ERC_MODELS_DIR.
        revision: commit, tag or branch at the hub; None: its main branch. A folder has none.
        download: whether the hub may be asked for what is not in the cache.
        marker: file by which the right kind of folder is recognised.

    Raises:
        ModelError: it is nowhere, the hub does not give it out, or the folder holds something else.
        MissingDependencyError: the hub's client is not installed.
    """
    folder = find_folder(name)
    if folder is None:
        commit = find_commit(name, revision, download, marker)
        return Located(name, commit, name)
    if not (folder / marker).is_file():
        raise ModelError(f"{str(folder)!r} has no {marker}: not a folder that save_pretrained wrote; give one that is")
    return Located(str(folder), None, content_name(folder))


def find_folder(name: str) -> Path | None:
    own = os.environ.get("ERC_MODELS_DIR")
    places = [Path(name).expanduser(), *([Path(own) / name] if own else [])]
    found = next((place for place in places if place.is_dir()), None)
    if found is None and own and CONTENT_NAME.fullmatch(name):
        stem = name.partition("@")[0]
        found = next((place for place in sorted(Path(own).iterdir()) if place.is_dir() and _slug(place) == stem), None)
        if found is not None and (held := content_name(found)) != name:
            raise ModelError(f"model {name!r}: {str(found)!r} holds {held!r}; put the weights there that are meant")
    return found


def find_commit(name: str, revision: str | None, download: bool, marker: str) -> str:
    """Returns the commit at which the hub or its cache has a model; see `locate`."""
    try:
        from huggingface_hub import constants, hf_hub_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError as error:
        raise MissingDependencyError.of("huggingface_hub", "models", "a model at the hub") from error
    own = os.environ.get("ERC_MODELS_DIR")
    beside = f", nor in ERC_MODELS_DIR={own!r}" if own else ""
    if not HUB_NAME.fullmatch(name):
        raise ModelError(
            f"model {name!r}: no such folder{beside}; give a folder, a name at the hub such as ORG/NAME, or one of: "
            "erc-harness list models"
        )
    pinned = f" --revision {revision}" if revision else ""
    fetch = f"hf download {name}{pinned}"
    try:
        with hub_access(download):
            file = hf_hub_download(name, marker, revision=revision, local_files_only=not download)
    except GatedRepoError as error:
        raise ModelError(
            f"model {name!r} is gated: accept its licence on its page at the hub, then type: hf auth login; {fetch}"
        ) from error
    except LocalEntryNotFoundError as error:
        way = "the hub cannot be reached" if download else f"type: {fetch}, or add --download"
        raise ModelError(
            f"model {name!r}{' at ' + revision if revision else ''} is no folder{beside}, and not in the hub's cache "
            f"{constants.HF_HUB_CACHE!r}: {way}, or give a folder"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"model {name!r}: the hub knows none, or it is private; check the name, or type: hf auth login"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(f"model {name!r}: {one_line(error)}; type: {fetch}, or give a folder") from error
    return Path(file).parent.name  # the cache calls a snapshot by its commit


def content_name(path: Path) -> str:
    """Returns 'name@<8 hex>' of a folder of weights or of one file: equal files in a folder of equal name, equal names.

    The digits are of a SHA-256 over name and content of every file that says what a model answers. Hashes of files are
    remembered by path, size and times of change in the user's cache folder, so that large ones are read once.

    Raises:
        ModelError: nothing is there, no such file is in the folder, or one cannot be read.
    """
    path = path.expanduser().resolve()
    files = [path] if path.is_file() else sorted(_files_of(path))
    if not files:
        what = "holds no weights, configuration or tokenizer" if path.is_dir() else "does not exist"
        raise ModelError(f"{str(path)!r} {what}; give a folder that save_pretrained wrote")
    memo = _Memo()
    try:
        lines = [f"{file.name}\0{memo.sha256(file)}\n" for file in files]
    except OSError as error:
        raise ModelError(f"{str(path)!r} cannot be read: {one_line(error)}") from error
    memo.save()
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return f"{_slug(path)}@{digest[:8]}"


def is_content_of(name: str, given: str) -> bool:
    """Whether `name` is 'name@<8 hex>' of what a user gave: a path, or a named model, by its commit."""
    return CONTENT_NAME.fullmatch(name) is not None and name.partition("@")[0] == _slug(Path(given))


def _slug(path: Path) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", path.name.lower()).strip("-") or "model"


def _files_of(folder: Path) -> Iterable[Path]:
    for pattern in (*PATTERNS, *CODE):
        yield from (file for file in folder.glob(pattern) if file.is_file() and not LEFTOVERS.fullmatch(file.name))


@contextmanager
def hub_access(allowed: bool) -> Iterator[None]:
    """Keeps the hub from being asked for anything, by whichever library, unless that is allowed."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not allowed
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def one_line(error: BaseException) -> str:
    """Returns an exception of a library as one short line without secrets."""
    told = redact(str(error), ())
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


class _Memo:
    """Hashes of files seen before. A memo that cannot be read or written costs time and nothing else."""

    def __init__(self) -> None:
        self._path = cache_folder() / "model_hashes.json"
        self._known: dict[str, list[object]] = {}
        self._changed = False
        with suppress(OSError, ValueError):
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self._known = known if isinstance(known, dict) else {}

    def sha256(self, file: Path) -> str:
        real = file.resolve()
        before = real.stat()
        stamp = [before.st_size, before.st_mtime_ns, before.st_ctime_ns]
        match self._known.get(str(real)):
            case [*seen, str(digest)] if seen == stamp:
                return digest
        with real.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if time.time() - before.st_ctime > SETTLED_SECONDS:
            self._known[str(real)] = [*stamp, digest]
            self._changed = True
        return digest

    def save(self) -> None:
        if not self._changed:
            return
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
            part.write_text(json.dumps(self._known, indent=0, sort_keys=True) + "\n", encoding="utf-8")
            part.replace(self._path)
