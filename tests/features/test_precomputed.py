"""Features of others: .npz, .h5 and pickles, found by id or by the lengths of dialogues, refused if they do not fit."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Split
from harness.errors import DataError, ModelError
from harness.features import Features, FeatureSource

RNG = np.random.default_rng(0)


def load(splits: Mapping[str, Split], name: str) -> Features:
    return FeatureSource(splits.values(), "test").load(f"file:{name}")


def arrays_of(splits: Mapping[str, Split], width: int = 3) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name, split in splits.items():
        ids = [u.id for u in split.utterances()]
        arrays[f"{name}/ids"] = np.array(ids)
        arrays[f"{name}/features"] = RNG.normal(size=(len(ids), width)).astype(np.float32)
    return arrays


def test_npz_by_split_and_id(splits: dict[str, Split], tmp_path: Path) -> None:
    arrays = arrays_of(splits)
    order = RNG.permutation(5)
    shuffled = {k: v[order] if k.startswith("dev") else v for k, v in arrays.items()}
    np.savez(tmp_path / "f.npz", **shuffled, **{"dev/fingerprint": np.array(splits["dev"].fingerprint)})
    features = load(splits, str(tmp_path / "f.npz"))
    for name, split in splits.items():
        rows = features.rows([u.view() for u in split.utterances()], name)
        np.testing.assert_array_equal(rows, arrays[f"{name}/features"])
    assert features.kind == "precomputed"
    assert features.name.startswith("file:f.npz@") and str(tmp_path) not in str(features.facts())


def test_no_module_that_lies_beside_an_h5_is_run(
    splits: dict[str, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed: pip install 'erc-harness[models]'")
    monkeypatch.chdir(tmp_path)
    for name in ("h5py.py", "json.py", "numpy.py"):
        (tmp_path / name).write_text("open('ran', 'w')")
    (tmp_path / "f.h5").write_bytes(b"junk" * 20)
    with pytest.raises(DataError, match=r"f\.h5: not read: .*signature not found"):
        load(splits, "f.h5").open_table("dev")
    assert not (tmp_path / "ran").exists()


def test_h5_with_several_layers(splits: dict[str, Split], tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    ids = [u.id for u in splits["dev"].utterances()]
    layers = RNG.normal(size=(5, 2, 3)).astype(np.float32)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["dev/ids"], file["dev/features"] = ids, layers
        file["dev/fingerprint"] = splits["dev"].fingerprint
    features = FeatureSource(splits.values()).load(f"file:{tmp_path / 'f.h5'}@r1-r2")
    views = [u.view() for u in splits["dev"].utterances()]
    np.testing.assert_array_equal(features.rows(views, "dev"), layers.reshape(5, 6))
    with pytest.raises(DataError, match="no array 'test/ids'; expected 'test/ids' and 'test/features'"):
        features.open_table("test")


def test_pickles_by_dialogue_id_or_number(splits: dict[str, Split], tmp_path: Path) -> None:
    table = {"d0": [[1.0, 2.0], [3.0, 4.0]], "d1": RNG.normal(size=(3, 2))}
    numbered = {7: np.ones((2, 2)), 3: np.zeros((2, 2)), 4: np.full((3, 2), 5.0)}
    (tmp_path / "f.pkl").write_bytes(pickle.dumps(("names", table, numbered)))
    views = [u.view() for u in splits["test"].utterances()]
    by_id = load(splits, f"{tmp_path / 'f.pkl'}#1").rows(views, "test")
    np.testing.assert_allclose(by_id, np.vstack([table["d0"], table["d1"]]), rtol=1e-6)
    by_number = load(splits, f"{tmp_path / 'f.pkl'}#2").rows(views, "test")
    assert by_number[:, 0].tolist() == [0, 0, 5, 5, 5]
    layers = load(splits, f"{tmp_path / 'f.pkl'}#1+2").open_table("test").array
    assert layers.shape == (5, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dev/fingerprint": np.array("f" * 64)}, "features of another dev split, ffffffffffff; that of lab is"),
        ({"dev/ids": np.array(["d0_u0"] * 4)}, "4 ids and 5 rows in split 'dev'"),
        ({"dev/ids": np.array(["a", "b", "c", "d", "e"])}, "no features of utterances 'd0_u0', 'd0_u1', 'd1_u0' and 2"),
        ({"dev/features": np.full((5, 3), np.nan, np.float32)}, "not a finite number in the rows of 'd0_u0'"),
    ],
)
def test_what_does_not_fit_is_refused(
    splits: dict[str, Split], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "f.npz", **{**arrays_of(splits), **change})
    with pytest.raises(DataError, match=message) as caught:
        load(splits, str(tmp_path / "f.npz")).open_table("dev")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "part", "message"),
    [
        ({"d0": [[1.0]], "d1": [[1.0]] * 3}, "", "1 rows for dialogue 'd0', which has 2 utterances"),
        (
            {"d0": [[1.0]] * 2, "d1": [[1.0], [1.0], [1.0, 2.0]]},
            "",
            "of different shape, .* the first is of 'd1_u2'",
        ),
        ({"d0": [[1.0]] * 2}, "", "no features of utterances 'd1_u0', 'd1_u1', 'd1_u2'; extract them"),
        ({1: [[1.0]] * 2, 2: [[1.0]] * 4}, "", "0 runs of its numbered dialogues have the lengths of lab, split 'dev'"),
        ([{}], "", "a list where a dictionary by dialogue is expected; say which part: file:FILE#PART"),
        ([{}], "#3", "no part '3'"),
    ],
)
def test_pickles_that_do_not_fit_are_refused(
    splits: dict[str, Split], tmp_path: Path, content: Any, part: str, message: str
) -> None:
    (tmp_path / "f.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=message):
        load(splits, f"{tmp_path / 'f.pkl'}{part}").open_table("dev")


def test_files_that_are_none(splits: dict[str, Split], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load(splits, str(tmp_path / "absent.npz"))
    (tmp_path / "f.txt").write_text("x")
    with pytest.raises(DataError, match=r"expected a name that ends in \.npz, \.h5"):
        load(splits, str(tmp_path / "f.txt")).open_table("dev")
    for name in ("f.npz", "f.h5"):
        (tmp_path / name).write_bytes(b"junk" * 20)
        with pytest.raises(DataError, match="not read: "):
            load(splits, str(tmp_path / name)).open_table("dev")
