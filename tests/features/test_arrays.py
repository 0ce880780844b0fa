"""Arrays in files, those of other times among them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError
from harness.features.arrays import map_array, read_npz

ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def written_by_python_2() -> bytes:
    """The bytes of a .npy file whose header has long integers, as Python 2 wrote them."""
    buffer = io.BytesIO()
    np.save(buffer, ROWS)
    new, old = b"'shape': (2, 3), }  ", b"'shape': (2L, 3L), }"
    assert new in buffer.getvalue()
    return buffer.getvalue().replace(new, old)


def test_files_that_python_2_wrote_are_read_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(written_by_python_2())
    np.testing.assert_array_equal(map_array(tmp_path / "a.npy"), ROWS)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rows.npy", written_by_python_2())
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", ["rows"])["rows"], ROWS)


def test_headers_of_no_time_are_refused(tmp_path: Path) -> None:
    broken = written_by_python_2().replace(b"(2L, 3L)", b"(2L  3L)")
    (tmp_path / "a.npy").write_bytes(broken)
    with pytest.raises(ValueError, match="Cannot parse header"):
        map_array(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rows.npy", broken)
    with pytest.raises(DataError, match="not read"):
        read_npz(tmp_path / "a.npz", ["rows"])
