"""Flipped bits and cut ends in whatever a command reads back: refused by name, or moved aside and made anew."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Flips one bit, or cuts the end off."""
    at = rng.randrange(len(content))
    if rng.random() < 0.3:
        return content[:at]
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


@pytest.fixture(scope="module")
def unfinished(
    stage: Any, begin: Callable[[str], Any], undisturbed: Any
) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Returns what a kind of work leaves when it is killed half way, and what it comes to."""
    made: dict[str, tuple[Path, dict[str, Any]]] = {}

    def make(kind: str) -> tuple[Path, dict[str, Any]]:
        if kind not in made:
            n = undisturbed(kind).n_writes
            place = begin(kind)
            assert stage.act(place, kind, kill_at=round(n * (0.55 if kind == "training" else 0.8)))["code"] == -9
            made[kind] = place.root, undisturbed(kind).content
        return made[kind]

    return make


REMADE = [
    ("run", "run.log.jsonl"),
    ("run", "fitted/word.txt"),
    pytest.param("run", "fitted/fitted.seal.json", marks=pytest.mark.slow),
    ("training", "checkpoints/epoch-*"),
    pytest.param("training", "checkpoints/progress.seal.json", marks=pytest.mark.slow),
    ("features", "*.npy"),
]


@pytest.mark.parametrize(("kind", "name"), REMADE)
def test_what_can_be_made_anew_is_moved_aside(kind: str, name: str, stage: Any, unfinished: Any) -> None:
    origin, expected = unfinished(kind)
    rng = random.Random(name)
    place = stage.place(origin)
    path = sorted(place.root.rglob(name))[0]
    before = path.read_bytes()
    while (broken := damaged(before, rng)) == before:
        pass
    path.write_bytes(broken)
    done = stage.act(place, kind)
    assert done["code"] == 0, done["stderr"]
    content = place.content()
    aside = {name: value for name, value in content.items() if ".damaged" in name}
    assert {name: value for name, value in content.items() if name not in aside} == expected
    cut_at_a_line = name == "run.log.jsonl" and before.startswith(broken[: broken.rfind(b"\n") + 1])
    assert broken in aside.values() or cut_at_a_line, "damage was neither kept nor seen"
    assert cut_at_a_line or "is damaged" in done["stderr"]


@pytest.mark.parametrize(
    "name", ["manifest.json", "predictions.parquet", pytest.param("dialogues.parquet", marks=pytest.mark.slow)]
)
def test_a_sealed_run_is_refused(name: str, stage: Any, begin: Callable[[str], Any]) -> None:
    origin = begin("build")
    whole = origin.content()
    assert stage.act(origin, "build")["code"] == 0
    board = {name: value for name, value in origin.content().items() if name not in whole}
    rng = random.Random(name)
    place = begin("build")
    path = sorted(place.root.rglob(f"majority/*/{name}"))[0]
    path.write_bytes(damaged(path.read_bytes(), rng))
    done = stage.act(place, "build")
    if done["code"] == 0:  # a flip in the very name of the checksum: all else is what was written
        now = place.content()
        assert {name: now[name] for name in board} == board
        return
    assert done["code"] == 2
    (line,) = done["stderr"].splitlines()
    assert str(path) in line
    assert "restore it, or delete the folder" in line
    shutil.rmtree(path.parent)
    assert stage.act(place, ["run", "majority", "--dataset", "toy", "--quiet"])["code"] == 0
    assert stage.act(place, "build")["code"] == 0


def test_an_answer_that_was_paid_for_is_refused_or_right(stage: Any, undisturbed: Any) -> None:
    whole = undisturbed("calls")
    expected = whole.content
    rng = random.Random(5)
    outcomes = []
    for _ in range(4):
        place = stage.place(whole.root)
        shutil.rmtree(place.root / "results")
        (path,) = place.root.rglob("responses.sqlite")
        path.write_bytes(damaged(path.read_bytes(), rng))
        done = stage.act(place, "calls")
        outcomes.append(done["code"])
        if done["code"] == 0:
            now = place.content()
            assert {n: v for n, v in now.items() if "results/" in n} == {
                n: v for n, v in expected.items() if "results/" in n
            }
        else:
            assert done["code"] in (2, 3)
            assert str(path) in done["stderr"] or done["code"] == 3
    assert set(outcomes) - {0}, "no damage was met: the test says nothing"
