"""The store of trained weights: what depends on what, whole or not there, one at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.data.damage import FOLDER_SEAL
from harness.errors import StoreError
from harness.store.trained import RECORD, TrainedPlace, TrainedStore, read_record

DEPENDS = {"base": {"model": "m", "revision": None}, "labels": [["joy", "naïve"]], "seed": 0}


def fill(place: TrainedPlace, content: str = "weights", record: Any = None) -> None:
    def write(folder: Path) -> None:
        (folder / "w").write_text(content)

    place.fill(write, record or {"seed": 0})


def test_a_place_depends_on_everything_and_on_no_order(tmp_path: Path) -> None:
    store = TrainedStore.at(tmp_path)
    folder = store.place("x", DEPENDS).folder
    assert folder.parent == tmp_path and not list(tmp_path.iterdir())
    assert store.place("x", dict(reversed(DEPENDS.items()))).folder == folder
    changed = [{**DEPENDS, "seed": 1}, {**DEPENDS, "labels": [["naïve", "joy"]]}, {**DEPENDS, "more": None}]
    assert len({folder, *(store.place("x", one).folder for one in changed)}) == 4


def test_it_is_in_the_cache_folder_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    assert TrainedStore.at(None).root == tmp_path / "cache" / "trained"
    assert TrainedStore.at(tmp_path / "own").root == tmp_path / "own"


def test_what_is_filled_is_whole(tmp_path: Path) -> None:
    place = TrainedStore.at(tmp_path).place("x", DEPENDS)

    def break_off(folder: Path) -> None:
        (folder / "w").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), place.claimed():
        place.fill(break_off, {"seed": 0})
    assert not place.is_filled and not place.folder.exists()
    with place.claimed():
        (place.part / "checkpoint-1").mkdir()
        fill(place)
    assert place.is_filled and (place.folder / "w").read_text() == "weights"
    assert [path.name for path in tmp_path.iterdir()] == [place.folder.name]  # no checkpoint, no lock
    assert read_record(place.folder) == {"seed": 0}


def test_a_folder_without_its_record_does_not_count(tmp_path: Path) -> None:
    place = TrainedStore.at(tmp_path).place("x", DEPENDS)
    place.folder.mkdir(parents=True)
    (place.folder / "w").write_text("somebody deleted the rest")
    assert not place.is_filled and read_record(place.folder) is None
    with place.claimed():
        fill(place)
    assert (place.folder / "w").read_text() == "weights"


def test_damaged_weights_are_moved_aside_and_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = TrainedStore.at(tmp_path).place("x", DEPENDS)
    with place.claimed():
        fill(place)
    (place.folder / "w").write_text("weightz")
    assert not place.is_whole
    with place.claimed():
        assert not place.is_filled and not place.folder.exists()
        fill(place)
    assert place.is_filled and (place.folder / "w").read_text() == "weights"
    aside = place.folder.with_name(f"{place.folder.name}.damaged")
    assert (aside / "w").read_text() == "weightz"
    assert caplog.messages == [
        f"{place.folder} is damaged (w is not what was written): moved to {aside.name}, and made anew"
    ]


def test_weights_without_their_seal_are_moved_aside_and_not_listed(tmp_path: Path) -> None:
    store = TrainedStore.at(tmp_path)
    place = store.place("x", DEPENDS)
    with place.claimed():
        fill(place)
    assert list(store.records()) == [place.folder]
    (place.folder / FOLDER_SEAL).unlink()
    assert not store.records()
    with place.claimed():
        fill(place, "new weights")
    (aside,) = tmp_path.glob("*.damaged")
    assert (aside / "w").read_text() == "weights"
    assert list(store.records()) == [place.folder]
    (place.folder / "w").unlink()
    os.mkfifo(place.folder / "w")
    assert not place.is_whole, "a pipe is no file, and nobody waits for it"


def test_checkpoints_of_a_broken_training_stay(tmp_path: Path) -> None:
    place = TrainedStore.at(tmp_path).place("x", DEPENDS)
    with pytest.raises(ValueError, match="no"), place.claimed():
        (place.part / "checkpoint-1").mkdir(parents=True)
        raise ValueError("no")
    assert (place.part / "checkpoint-1").is_dir() and not place.is_filled


def test_one_trains_and_the_others_wait(tmp_path: Path) -> None:
    place = TrainedStore.at(tmp_path).place("x", DEPENDS)
    trained = []

    def train(name: int) -> None:
        with place.claimed():
            if not place.is_filled:
                time.sleep(0.05)
                for number in range(20):  # checkpoints, whose removal takes its time
                    (place.part / f"checkpoint-{number}").mkdir(parents=True, exist_ok=True)
                trained.append(name)
                fill(place)

    for _ in range(5):
        threads = [threading.Thread(target=train, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(trained) == 1 and [path.name for path in tmp_path.iterdir()] == [place.folder.name]
        shutil.rmtree(place.folder)
        trained.clear()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    place = TrainedStore.at(tmp_path).place("x", DEPENDS)
    code = (
        "import sys, time; from pathlib import Path; from harness.store.trained import TrainedPlace\n"
        f"with TrainedPlace(Path({str(place.folder)!r})).claimed(): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    process.kill()
    process.wait()
    process.stdout.close()
    with place.claimed():
        fill(place)
    assert place.is_filled


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"), TrainedStore.at(tmp_path / "file").place("x", {}).claimed():
        pass


def test_records_are_of_trainings_that_ended(tmp_path: Path) -> None:
    store = TrainedStore.at(tmp_path)
    assert store.records() == {}
    one, other = store.place("b", {"seed": 1}), store.place("a", {"seed": 2})
    for place in (one, other):
        fill(place, record={"name": place.folder.name})
    unended = store.place("c", {})
    (unended.part / "whole").mkdir(parents=True)
    (unended.part / RECORD).write_text("{}")
    for name, content in (("d", "[1]"), ("e", '{"seed"')):
        (tmp_path / name).mkdir()
        (tmp_path / name / RECORD).write_text(content)
    assert store.records() == {place.folder: {"name": place.folder.name} for place in (other, one)}
    assert json.loads((one.folder / RECORD).read_text()) == {"name": one.folder.name}
