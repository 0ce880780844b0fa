"""Files appear whole or not at all; a lock lets one process in, and lets go when that process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.writing import locked
from harness.errors import StoreError
from harness.store.atomic import open_atomic, write_atomic


def test_a_write_that_fails_leaves_the_old_file_and_no_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_file_that_is_not_finished_takes_no_place(tmp_path: Path, kind: type[BaseException]) -> None:
    path = tmp_path / "file"
    with pytest.raises(kind), open_atomic(path) as file:
        file.write(b"half")
        raise kind
    assert list(tmp_path.iterdir()) == []
    with open_atomic(path) as file:
        file.write(b"wh")
        assert not path.exists()
        file.write(b"ole")
    assert path.read_bytes() == b"whole"


def test_a_second_process_is_refused_and_let_in_when_the_first_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "lock"
    code = (
        "import sys, time; from pathlib import Path; from harness.data.writing import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('in', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    with pytest.raises(StoreError, match="another process is running"), locked(lock):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with locked(lock):
        assert lock.exists()
    assert not lock.exists()


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="choose"), locked(tmp_path / "file" / "lock"):
        pass
    with pytest.raises(StoreError, match="--results-dir"):
        write_atomic(tmp_path / "file" / "x", b"")
