"""Arrays in files that somebody else wrote: what a file claims is looked at before anything of that size is made."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

MAX_UNPACKED = 1 << 30
"""Bytes of an array when it is unpacked, unless the file itself is larger: a few kB of .npz or .h5 may hold GB."""

BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    TokenError,
    EOFError,
    RuntimeError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise for files that are broken: headers are parsed as Python literals."""


def read_npz(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Returns those of some arrays that a .npz file has, by name.

    Raises:
        DataError: it is no such file, is broken, holds objects, or an array is too large when unpacked.
    """
    found = {}
    with reading(path, *BROKEN), _any_age(), zipfile.ZipFile(path) as archive:
        for entry in {f"{name}.npy" for name in names}.intersection(archive.namelist()):
            with archive.open(entry) as file:
                check_size(path, *_read_header(file))
            with archive.open(entry) as file:
                found[entry.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def map_array(path: Path) -> NDArray[Any]:
    """Returns the array of a .npy file, memory-mapped: it has no more elements than the file has bytes for.

    Raises:
        OSError, ValueError: it cannot be read, or is no such file.
    """
    try:
        with _any_age():
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        raise
    except (*BROKEN, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(array, np.ndarray):
        raise ValueError("it is an archive of arrays; expected one array")
    return array


@contextmanager
def _any_age() -> Iterator[None]:
    """Keeps numpy from warning of arrays that Python 2 wrote: they are read all the same."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Reading `.npy` or `.npz` file", UserWarning)
        yield


def _read_header(file: Any) -> tuple[tuple[int, ...], Any]:
    """Returns shape and type of the array that a .npy file holds."""
    version = np.lib.format.read_magic(file)
    readers: dict[tuple[int, int], Callable[[Any], Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version} of its format; expected 1.0 or 2.0")
    shape, _, dtype = readers[version](file)
    return shape, dtype


def check_size(path: Path, shape: Sequence[int], dtype: Any) -> None:
    """Checks what an array would take before it is made; raises ValueError."""
    most = max(MAX_UNPACKED, path.stat().st_size)
    if any(not 0 <= n <= most for n in shape) or prod(shape) * max(1, dtype.itemsize) > most:
        raise ValueError(f"an array of shape {tuple(shape)} and type {dtype} has more than {most} bytes unpacked")


@contextmanager
def reading(path: Path, *broken: type[Exception]) -> Iterator[None]:
    """Turns what a broken file raises inside the block into a DataError about it."""
    try:
        yield
    except DataError:
        raise
    except broken as error:
        raise DataError.at(path, f"not read: {' '.join(str(error).split()) or type(error).__name__}") from error
