"""One file over HTTP: resumable, bounded, verified, and at its final path only when whole. Knows no dataset.

Only the standard library is used: the few files that are fetched do not pay for another dependency.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.data.writing import disk, settle
from harness.errors import DataError, DatasetNotFoundError

_BLOCK = 1 << 16
"""Bytes per read."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at its owner's address, and what proves that a copy is that file."""

    url: str
    path: str
    """Where it belongs, relative to the folder of its dataset."""
    sha256: str | None
    """64 hex digits; None if nobody published them, then `check` has to do."""
    check: Callable[[Path], None] | None = None
    """Looks at the content; raises DataError."""

    def verify(self, path: Path) -> str:
        """Returns the SHA-256 (64 hex digits) of a copy.

        Raises:
            DataError: the copy is not this file.
            StoreError: the copy cannot be read.
        """
        with disk(path), path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if self.sha256 is not None and found != self.sha256:
            raise DataError.at(path, f"its SHA-256 is {found}; expected {self.sha256}")
        if self.check is not None:
            self.check(path)
        return found


@dataclass(frozen=True)
class Limits:
    """How patient a download is, and how much it takes."""

    n_attempts: int = 4
    wait_seconds: float = 1.0
    """Before the second attempt; doubles with each further one."""
    timeout_seconds: float = 30.0
    """Without a byte from the server."""
    max_bytes: int = 16 << 20
    """Per file; the largest file that is fetched has under 5 MB."""


LIMITS = Limits()


def download(file: RemoteFile, folder: Path, *, base: str | None = None, limits: Limits = LIMITS) -> str:
    """Downloads a file, going on where an interrupted download stopped, and returns its SHA-256 (64 hex digits).

    Bytes go to `PATH.part`, which becomes `PATH` once it is verified. Lost connections and the statuses 429 and 5xx
    are tried again.

    Args:
        file: what to download; the caller has seen that its path is free.
        folder: folder of the dataset.
        base: "http://HOST:PORT" in place of scheme and host of the address; None: the owner's.
        limits: patience and size.

    Raises:
        DatasetNotFoundError: the server does not give the file.
        DataError: what it gives is another file, or too large; it is deleted.
        StoreError: the folder cannot be written.
    """
    url = file.url if base is None else base + urlsplit(file.url).path
    path = folder / file.path
    part = path.with_name(f"{path.name}.part")
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.sha256 is None:
            part.unlink(missing_ok=True)  # without a hash nobody would see that the two halves are of two versions
        _persist(url, path, part, limits)
        try:
            found = file.verify(part)
        except DataError as error:
            part.unlink()
            hint = f"it came from {url} and is deleted; repeat the command, or ask the owner what has changed"
            raise DataError(f"{error}; {hint}") from None
        settle(part, path)
    return found


class _TransientError(Exception):
    """Another attempt may help."""


def _persist(url: str, path: Path, part: Path, limits: Limits) -> None:
    """Receives a file in at most `limits.n_attempts` attempts."""
    for attempt in range(1, limits.n_attempts + 1):
        try:
            return _receive(url, path, part, limits)
        except _TransientError as error:
            if attempt == limits.n_attempts:
                raise _not_given(url, f"{error}, {attempt} attempts", path) from None
            time.sleep(limits.wait_seconds * 2 ** (attempt - 1))


def _receive(url: str, path: Path, part: Path, limits: Limits) -> None:
    """Receives in one attempt what is missing from the partial file; whatever came stays there."""
    start = part.stat().st_size if part.exists() else 0
    with _ask(url, path, part, start, limits) as response:
        if response.status == 206:
            if not re.fullmatch(rf"bytes {start}-\d+/(\d+|\*)", response.headers.get("Content-Range", "")):
                part.unlink(missing_ok=True)
                raise _TransientError("the server sent another range than asked for")
        else:
            start = 0
        expected = response.length  # of the body, in bytes; None if the server does not say
        received = 0
        with part.open("ab" if start else "wb") as file:
            while block := _read(response):
                received += len(block)
                if start + received > limits.max_bytes:
                    break
                file.write(block)
    if start + received > limits.max_bytes:
        part.unlink()
        raise DataError(f"{url}: more than the {limits.max_bytes} bytes allowed; what came is deleted, ask the owner")
    if expected is not None and received < expected:
        raise _TransientError(f"the connection was cut after {start + received} of {start + expected} bytes")


def _ask(url: str, path: Path, part: Path, start: int, limits: Limits) -> http.client.HTTPResponse:
    """Requests a file from its byte `start` on; returns the response, with status 200 or 206."""
    request = urllib.request.Request(url, headers={"User-Agent": "erc-harness"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=limits.timeout_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        problem = f"HTTP status {error.code} ({error.reason})"
        if error.code == 416:  # the partial file is as long as the file, or longer: it cannot be its beginning
            part.unlink(missing_ok=True)
        if error.code in (416, 429) or error.code >= 500:
            raise _TransientError(problem) from None
        raise _not_given(url, problem, path) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise _not_given(url, str(reason), path) from None
        raise _TransientError(str(reason) or type(reason).__name__) from None
    if response.status not in (200, 206):
        response.close()
        raise _not_given(url, f"HTTP status {response.status} ({response.reason})", path)
    return response


def _read(response: http.client.HTTPResponse) -> bytes:
    """Returns the bytes that are there, as soon as there are some; b"" at the end of the body or the connection."""
    try:
        return response.read1(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(str(error) or type(error).__name__) from None


def _not_given(url: str, problem: str, path: Path) -> DatasetNotFoundError:
    return DatasetNotFoundError(
        f"{url}: {problem}; repeat the command later, or put the file at {path} yourself and repeat: it is then checked"
    )
