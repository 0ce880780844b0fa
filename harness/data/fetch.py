"""Fetching corpora from their owners: shows the terms, downloads what is missing, unpacks. Prints nothing itself."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.bounded import read_bounded
from harness.data.catalogue import DATASETS
from harness.data.download import LIMITS, Limits, RemoteFile, download
from harness.data.jsonl import find_jsonl
from harness.data.sources import SOURCES, Packed
from harness.data.writing import disk, settle
from harness.errors import ConfigError, DataError, DatasetNotFoundError

_MAX_UNPACKED = 64 << 20
"""Bytes per unpacked file; the largest has about 6 MB."""


@dataclass(frozen=True)
class Notice:
    """What to know before a corpus is downloaded."""

    name: str
    title: str
    license: str
    source: str
    """Who releases it, and where."""
    citation: str
    """What to cite when it is used."""
    terms: str
    addresses: tuple[str, ...]
    """Where it will be downloaded from."""

    def __str__(self) -> str:
        rows = {
            "dataset": f"{self.name} ({self.title})",
            "licence": self.license,
            "source": self.source,
            "cite": self.citation,
            "terms": self.terms,
            "from": ", ".join(self.addresses),
        }
        return "\n".join(f"{key}: {value}" for key, value in rows.items())


def fetch_dataset(
    name: str,
    data_dir: Path,
    *,
    notify: Callable[[Notice], None],
    report: Callable[[str], None] = lambda line: None,
    base: str | None = None,
    limits: Limits = LIMITS,
) -> list[Path]:
    """Fetches a corpus into its folder under the data directory; files that are there already are kept.

    Args:
        name: of the dataset.
        data_dir: the data directory, made if need be.
        notify: gets the notice once, before the first request; raises to stop. Not called if nothing is missing.
        report: gets a line for each file: that it was there, or was written, and its SHA-256.
        base: "http://HOST:PORT" to ask in place of the owners' hosts; the hashes stay the owners'.
        limits: patience and size of each download.

    Returns:
        Paths of the files written by this call.

    Raises:
        UnknownNameError: no such dataset.
        ConfigError: the dataset is the user's own.
        DatasetNotFoundError: it may not be downloaded, and the message says how to get it; or the server fails.
        DataError: a file is there with other content, or the server gives other content.
        StoreError: the folder cannot be read or written.
    """
    if name not in DATASETS and (own := find_jsonl(name, data_dir)) is not None:
        known = ", ".join(SOURCES)
        raise ConfigError(f"{name!r} is a corpus of your own, in {own}: nothing to fetch (what can be: {known})")
    card = DATASETS.get(name).card
    if card.bundled is not None:
        report(f"{name}: comes with erc-harness, nothing to fetch")
        return []
    folder = data_dir / card.folder
    if name not in SOURCES:
        raise DatasetNotFoundError(
            f"dataset {name!r} cannot be downloaded ({card.license}; {card.source}): {card.obtain}; "
            f"it belongs in {folder}"
        )
    source = SOURCES[name]
    missing = [file for file in source.files if not _is_there(file, folder, report)]
    if missing:
        addresses = tuple(file.url for file in missing)
        notify(Notice(name, card.title, card.license, card.source, source.citation, source.terms, addresses))
    written = []
    for file in missing:
        found = download(file, folder, base=base, limits=limits)
        report(f"{folder / file.path}: written, {_proof(file, found)}")
        written.append(folder / file.path)
    if source.packed:
        written += _unpack(folder / source.files[0].path, source.packed, folder, report)
    return written


def _is_there(file: RemoteFile, folder: Path, report: Callable[[str], None]) -> bool:
    """Whether a file is in its place; raises DataError if another one is."""
    path = folder / file.path
    with disk(path):
        if not path.exists():
            return False
    try:
        found = file.verify(path)
    except DataError as error:
        raise _occupied(str(error)) from None
    report(f"{path}: already there, {_proof(file, found)}")
    return True


def _proof(file: RemoteFile, found: str) -> str:
    return f"SHA-256 {found} {'as pinned' if file.sha256 else '(not pinned: checked by its published counts)'}"


def _occupied(problem: str) -> DataError:
    return DataError(f"{problem}; the file is left as it is: move it away and repeat to fetch the release's")


def _unpack(archive: Path, packed: tuple[Packed, ...], folder: Path, report: Callable[[str], None]) -> list[Path]:
    """Writes files of an archive where they are not there yet; returns the paths of those written."""
    written = []
    with disk(archive):
        outer = read_bounded(archive, _MAX_UNPACKED)
    for member in packed:
        path = folder / member.name
        data = _member(_member(outer, member.archive, archive), member.name, archive)
        with disk(path):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name(f"{path.name}.part")
                part.write_bytes(data)
                settle(part, path)
                written.append(path)
            elif path.read_bytes() != data:
                raise _occupied(f"{path}: it differs from {member.name} in {archive.name}")
        report(f"{path}: {'written, from' if path in written else 'already there, as in'} {archive.name}")
    return written


def _member(data: bytes, name: str, archive: Path) -> bytes:
    """Returns the content of one file in a zip archive; raises DataError for an archive that is broken or unsafe."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            for entry in bundle.namelist():
                if re.match(r"/|[A-Za-z]:", entry) or "\\" in entry or ".." in PurePosixPath(entry).parts:
                    raise DataError.at(archive, f"entry {entry!r} leads out of the archive; expected plain paths")
            info = bundle.getinfo(name)
            with bundle.open(info) as entry_file:  # `read` of a bundle would unpack all, whatever size it claims
                content = entry_file.read(_MAX_UNPACKED + 1)
            if len(content) > _MAX_UNPACKED:
                problem = f"entry {name!r} has more than {_MAX_UNPACKED} bytes; expected no more"
                raise DataError.at(archive, problem)
            return content
    except KeyError:
        raise DataError.at(archive, f"entry {name!r} is missing; expected it in the release") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError.at(archive, f"broken archive at {name!r}: {error}; delete it and repeat") from None
