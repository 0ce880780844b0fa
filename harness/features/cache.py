"""Arrays kept on disk by a key that says all they depend on. Knows nothing of what they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.cache_folder import cache_folder
from harness.data.damage import SEAL, damage_of, seal, set_aside
from harness.data.writing import disk, neighbour, settle
from harness.errors import StoreError
from harness.features.arrays import map_array


def cached_array(key: str, n_rows: int, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Returns an array from the cache, after making and keeping it if it is not there.

    Args:
        key: of letters and digits; whatever the array depends on is in it.
        n_rows: of the array, to recognise a file that is not it.
        make: returns float32 (n_rows, width).

    Raises:
        StoreError: the file holds another array, or the folder cannot be written.

    A file that is not what was written is moved aside, and the array made anew.
    """
    path = cache_folder() / "features" / f"{key}.npy"
    sums = path.with_suffix(SEAL)
    with disk(path):
        if sums.is_file():
            if (damage := damage_of(sums)) is None:
                return _load(path, n_rows)
            if path.is_file():
                set_aside(path, damage)
            sums.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
    array = make()
    part = neighbour(path)
    with disk(path):
        with part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        settle(part, path)
        seal(sums, [path])  # last: an array without is made anew
    return array


def _load(path: Path, n_rows: int) -> NDArray[np.float32]:
    try:
        array: NDArray[np.float32] = np.asarray(map_array(path))
    except ValueError as error:
        raise StoreError(f"{path}: not an array ({error}); delete it and repeat") from error
    if array.dtype != np.float32 or array.ndim != 2 or len(array) != n_rows:
        raise StoreError(
            f"{path}: {array.dtype} {array.shape}, expected float32 ({n_rows}, width); delete it and repeat"
        )
    return array
