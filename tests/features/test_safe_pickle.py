"""Pickles of arrays are read; whatever would run something is refused before it runs."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError
from harness.features.safe_pickle import load_pickle

GOOD: list[Any] = [
    {"a": np.arange(6, dtype=np.float32).reshape(2, 3), 3: [1, 2.5, "x", None, True, b"b", (1, {2})]},
    np.array([np.ones(2), [1, 2]], dtype=object),
    OrderedDict(a=np.float32(3)),
    np.asfortranarray(np.ones((2, 3))),
    np.array(["text", "other"]),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("thing", GOOD, ids=range(len(GOOD)))
def test_arrays_and_containers_are_read(thing: Any, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "f.pkl"
    path.write_bytes(pickle.dumps(thing, protocol=protocol))
    assert repr(load_pickle(path)) == repr(thing)


def test_a_defaultdict_loses_its_default(tmp_path: Path) -> None:
    made: Any = defaultdict(list)
    made["x"].append(1)
    (tmp_path / "f.pkl").write_bytes(pickle.dumps(made))
    assert load_pickle(tmp_path / "f.pkl") == {"x": [1]}


class _Runs:
    def __init__(self, target: Any, *arguments: Any) -> None:
        self.call = (target, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        _Runs(os.mkdir, "made"),
        _Runs(eval, "__import__('os').mkdir('made')"),
        _Runs(getattr, "x", "join"),
        _Runs(np.load, "x"),
        _Runs(np.memmap, "made", "u1", "w+", 0, (1,)),
    ],
)
def test_nothing_is_run(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.pkl").write_bytes(pickle.dumps([1, call]))
    with pytest.raises(DataError, match=r"f\.pkl: not read: it asks for .*; save arrays as \.npz instead"):
        load_pickle(Path("f.pkl"))
    assert [path.name for path in tmp_path.iterdir()] == ["f.pkl"]


@pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps(list(range(99)))[:-9], pickle.dumps({1: 2})[:3]])
def test_broken_ones_are_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f.pkl").write_bytes(content)
    with pytest.raises(DataError, match="not read: ") as caught:
        load_pickle(tmp_path / "f.pkl")
    assert "\n" not in str(caught.value)
