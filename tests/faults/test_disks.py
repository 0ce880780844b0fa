"""Full disks, folders that cannot be written, clocks that jump back, two processes at once: one line, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.data import writing
from harness.data.writing import locked
from harness.errors import StoreError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Mounts a small file system of its own at a folder; needs root."""
    mounted: list[Path] = []

    def mount(folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        if "remount" not in options:
            if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("this process may not mount a file system")
            mounted.append(folder)
        else:
            subprocess.run(["mount", "-o", ",".join(options), str(folder)], check=True)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


SLOWLY = pytest.param("training", marks=pytest.mark.slow)
WRITERS = {"run": "results", "training": "results", "build": "results", "features": "cache", "calls": "cache"}


@pytest.mark.parametrize("kind", ["run", "features", "calls", SLOWLY, pytest.param("build", marks=pytest.mark.slow)])
def test_a_limit_on_files(kind: str, stage: Any, begin: Callable[[str], Any], undisturbed: Any) -> None:
    place = begin(kind)
    done = stage.act(place, kind, file_limit=600)
    assert done["code"] in (2, 3), done["stderr"]
    assert "Traceback" not in done["stderr"]
    assert "File too large" in done["stderr"] or "disk" in done["stderr"], done["stderr"]
    again = stage.act(place, kind)
    assert again["code"] == 0, again["stderr"]
    assert place.content() == undisturbed(kind).content


@pytest.mark.parametrize("kind", ["run", "features", "calls", SLOWLY, pytest.param("build", marks=pytest.mark.slow)])
def test_a_folder_that_cannot_be_written(
    kind: str, stage: Any, begin: Callable[[str], Any], small_disk: Callable[..., None]
) -> None:
    place = begin(kind)
    folder = place.root / WRITERS[kind]
    small = stage.folder / f"small-{kind}"
    small_disk(small, "size=4m")
    subprocess.run(["cp", "-r", f"{folder}/.", str(small)], check=False, capture_output=True)
    place.environment |= {"ERC_RESULTS_DIR" if WRITERS[kind] == "results" else "ERC_CACHE_DIR": str(small)}
    small_disk(small, "remount", "ro")
    done = stage.act(place, kind)
    assert done["code"] in (2, 3), done["stderr"]
    assert "Read-only file system" in done["stderr"] or "readonly" in done["stderr"], done["stderr"]
    assert "Traceback" not in done["stderr"]
    small_disk(small, "remount", "rw")
    assert stage.act(place, kind)["code"] == 0


def give_away(folder: Path) -> None:
    """Makes a folder that of another user; one that is not root locks itself out instead."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, 12345, 12345)
        elif path.is_dir():
            path.chmod(0o555)


def take_back(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, 0, 0)
        elif path.is_dir():
            path.chmod(0o755)


@pytest.mark.parametrize("kind", ["run", *(pytest.param(k, marks=pytest.mark.slow) for k in list(WRITERS)[1:])])
def test_a_folder_of_another_user(kind: str, stage: Any, begin: Callable[[str], Any], undisturbed: Any) -> None:
    place = begin(kind)
    folder = place.root / WRITERS[kind]
    give_away(folder)
    before = place.content()
    done = stage.act(place, kind, powerless=True)
    take_back(folder)
    assert done["code"] in (2, 3), done["stderr"]
    said = [line for line in done["stderr"].splitlines() if "Permission denied" in line or "readonly" in line]
    assert len(said) == 1, done["stderr"]
    assert "Traceback" not in done["stderr"]
    assert {name: place.content().get(name) for name in before} == before
    assert stage.act(place, kind)["code"] == 0
    assert place.content() == undisturbed(kind).content


OUTPUTS = {
    "export": ["export", "toys", "--to", "latex", "-o"],
    "report": ["report", "toys", "-o"],
    "bundle": ["bundle", "toys", "-o"],
}


@pytest.mark.parametrize(
    "command", ["export", *(pytest.param(c, marks=pytest.mark.slow) for c in ("report", "bundle"))]
)
@pytest.mark.parametrize("how", [{"powerless": True}, {"file_limit": 600}])
def test_an_output_that_cannot_be_written(command: str, how: dict[str, Any], stage: Any, undisturbed: Any) -> None:
    place = stage.place(undisturbed("build").root)
    folder = place.root / "elsewhere"
    folder.mkdir()
    before = place.content()
    if "powerless" in how:
        give_away(folder)
    done = stage.act(place, [*OUTPUTS[command], str(folder / "out")], **how)
    assert done["code"] == 2, done["stderr"]
    (line,) = done["stderr"].splitlines()
    assert str(folder) in line, line
    assert "Permission denied" in line or "File too large" in line
    assert {name: value for name, value in place.content().items() if name in before} == before


def test_durations_do_not_come_from_a_clock_that_jumps(
    stage: Any, begin: Callable[[str], Any], undisturbed: Any
) -> None:
    place = begin("run")
    assert stage.act(place, "run", kill_at=40, clock=0)["code"] == -9
    done = stage.act(place, "run", clock=-86400 * 400)
    assert done["code"] == 0, done["stderr"]
    (manifest,) = place.root.rglob("manifest.json")
    times = json.loads(manifest.read_text())["times"]
    assert times["n_sessions"] == 2
    assert 0 <= times["fit_seconds"] < 60
    assert 0 < times["predict_seconds"] < 60
    assert place.content() == undisturbed("run").content


HOLDER = """
import sys, time
from pathlib import Path
from harness.data.writing import locked
with locked(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(60)
"""


def test_two_processes_on_one_run(stage: Any, begin: Callable[[str], Any]) -> None:
    place = begin("run")
    assert stage.act(place, "run", kill_at=40)["code"] == -9
    (log,) = place.root.rglob("run.log.jsonl")
    before = log.read_bytes()
    lock = log.with_name("lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    refused = stage.act(place, [*["run", "lab/words", "--dataset", "toy", "--json"], *plugin_of(place)])
    assert refused["code"] == 3
    assert f"process {holder.pid} on " in refused["stderr"]
    assert f"type: kill {holder.pid}" in refused["stderr"]
    assert log.read_bytes() == before
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert lock.exists(), "a killed owner leaves its name"
    assert stage.act(place, "run")["code"] == 0


def plugin_of(place: Any) -> tuple[str, str]:
    return "--plugin", str(Path(__file__).parent / "lab.py")


def test_an_owner_on_another_machine_holds_while_it_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system does not pass its lock on: only the name and the signs of life tell of the owner."""
    monkeypatch.setattr(writing, "SILENT_SECONDS", 0.5)
    lock = tmp_path / "lock"
    lock.write_text('{"host": "elsewhere", "pid": 7, "since": "2026-01-01T00:00:00+00:00"}\n')
    beating = subprocess.Popen(
        [sys.executable, "-c", f"import os, time\nwhile True: os.utime({str(lock)!r}); time.sleep(0.05)"]
    )
    try:
        while lock.stat().st_mtime_ns == (before := lock.stat().st_mtime_ns):
            time.sleep(0.06)
            if lock.stat().st_mtime_ns != before:
                break
        with pytest.raises(StoreError, match=r"process 7 on elsewhere, since 2026.* kill 7"), locked(lock):
            pass
        assert "elsewhere" in lock.read_text()
    finally:
        beating.kill()
        beating.wait()
    with locked(lock):
        assert "elsewhere" not in lock.read_text()
    assert not lock.exists()


def test_who_holds_a_lock_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BEAT_SECONDS", 0.05)
    with locked(tmp_path / "lock"):
        first = (tmp_path / "lock").stat().st_mtime_ns
        time.sleep(0.5)
        assert (tmp_path / "lock").stat().st_mtime_ns > first
