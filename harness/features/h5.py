"""Arrays of an HDF5 file, read by a process of its own: its library may hang, or die, over a file that is broken.

    python -m harness.features.h5 FILE FOLDER NAME ...

leaves the arrays that the file has of these names in a folder, numbers as N.npy, texts as N.json, where N is the place
of the name; or, in refused.txt, why the file cannot be read.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, MissingDependencyError
from harness.features.arrays import BROKEN, MAX_UNPACKED, check_size, reading

SECONDS, BYTES_A_SECOND = 10, 10_000_000
"""Of processor time that reading may take, and one more for each so many bytes of the file."""

WAITING = 20
"""Seconds that may pass for each of the processor: disks may be slow, and machines busy."""

MEMORY = 1 << 30
"""Bytes of address space for the process itself, beside four times the largest array."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Each thread that numpy begins takes address space; large machines would begin a hundred."""

REFUSED = "refused.txt"


def read_h5(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Returns those of some arrays that an HDF5 file has, by name; links and arrays that lie elsewhere are refused.

    Raises:
        DataError: it is no such file, is broken, or an array is too large when unpacked, or not in this file.
        MissingDependencyError: h5py is not installed.
    """
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.of("h5py", "models", "reading .h5 features") from error
    with TemporaryDirectory(prefix="erc-h5-") as folder:
        # -P: no module is looked for where the command was typed, which may be where the file of a stranger lies.
        command = [sys.executable, "-P", "-m", "harness.features.h5", str(path), folder, *names]
        known = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(known), **ONE_THREAD}
        seconds = WAITING * _seconds(path)
        try:
            done = subprocess.run(command, check=False, capture_output=True, env=environment, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise DataError.at(path, f"not read: the HDF5 library took more than {seconds} s over it") from None
        if (said := Path(folder, REFUSED)).exists():
            raise DataError(said.read_text(encoding="utf-8"))
        if done.returncode:
            last = (
                done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"it ended with {done.returncode}"
            )
            raise DataError.at(path, f"not read: the HDF5 library broke down over it: {last}")
        return {name: array for n, name in enumerate(names) for array in _left(Path(folder), n)}


def _seconds(path: Path) -> int:
    """Returns the seconds of the processor that reading a file may take."""
    return SECONDS + path.stat().st_size // BYTES_A_SECOND


def _left(folder: Path, n: int) -> list[NDArray[Any]]:
    """Returns the array that the process has left at a place, if any."""
    numbers, texts = folder / f"{n}.npy", folder / f"{n}.json"
    if numbers.exists():
        return [np.load(numbers, allow_pickle=False)]
    return [np.array(json.loads(texts.read_bytes()), dtype=object)] if texts.exists() else []


def read_here(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Returns the same in this process, which may come to harm; texts are an array of objects. Raises DataError."""
    import h5py

    def read(arrays: Any, name: str) -> Any:
        steps = [name[:at] for at, character in enumerate(name) if character == "/"]
        found = arrays[name]
        inside = all(isinstance(arrays.get(step, getlink=True), h5py.HardLink) for step in (*steps, name))
        if not isinstance(found, h5py.Dataset) or not inside or found.external or found.is_virtual:
            raise ValueError(f"{name!r} is no array of this very file; expected no link")
        if found.shape is None:
            raise ValueError(f"{name!r} is empty")
        check_size(path, found.shape, found.dtype)
        return np.asarray(found.asstr()[()], dtype=object) if h5py.check_string_dtype(found.dtype) else found[()]

    with reading(path, *BROKEN, LookupError, TypeError), h5py.File(path, "r") as arrays:
        return {name: read(arrays, name) for name in names if name in arrays}


def main() -> None:
    """Reads what the command line names, within bounds of time and memory."""
    path, folder, *names = sys.argv[1:]
    seconds, most = _seconds(Path(path)), MEMORY + 4 * max(MAX_UNPACKED, Path(path).stat().st_size)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        found = read_here(Path(path), names)
        with reading(Path(path), *BROKEN, TypeError):
            for name, array in found.items():
                target = Path(folder, str(names.index(name)))
                if np.asarray(array).dtype == object:
                    target.with_suffix(".json").write_text(json.dumps(array.tolist()), encoding="utf-8")
                else:
                    np.save(target.with_suffix(".npy"), array, allow_pickle=False)
    except DataError as error:
        Path(folder, REFUSED).write_text(str(error), encoding="utf-8")


if __name__ == "__main__":
    main()
