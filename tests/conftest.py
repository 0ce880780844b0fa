"""Fixtures shared by all tests: the folder of real corpora, and no network beyond loopback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real corpora; the test is skipped where none is named."""
    folder = os.environ.get("ERC_DATA_DIR")
    if not folder:
        pytest.skip("real corpora are absent: set ERC_DATA_DIR to the folder that holds meld/ and emorynlp/")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.fail(f"ERC_DATA_DIR={folder!r} is not a folder")
    return path
