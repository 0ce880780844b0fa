"""A bundle of the committed sample board, made once; each test gets a copy of its own to tamper with."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from harness.bundle.build import build_bundle
from harness.leaderboard.spec import load_spec
from harness.store import Layout, RunStore

RESULTS = Path(__file__).resolve().parents[2] / "results"

Tamper = Callable[[str, bytes], None]
"""(file, new content): changes a file and enters its new hash, as a careful forger would."""


@pytest.fixture(scope="session")
def sample_files() -> dict[str, bytes]:
    """The files of the bundle by path."""
    store = RunStore(Layout(RESULTS))
    return build_bundle("sample", load_spec("sample", store.layout), store)


@pytest.fixture
def bundle(sample_files: dict[str, bytes], tmp_path: Path) -> Path:
    """The bundle on disk."""
    for name, content in sample_files.items():
        path = tmp_path / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "bundle"


@pytest.fixture
def forge(bundle: Path) -> Tamper:
    def change(name: str, content: bytes) -> None:
        assert (bundle / name).read_bytes() != content
        (bundle / name).write_bytes(content)
        lock = json.loads((bundle / "results.lock").read_text())
        lock["files"][name] = sha256(content).hexdigest()
        (bundle / "results.lock").write_text(json.dumps(lock))

    return change
