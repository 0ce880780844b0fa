"""A bundle that its own verifier would refuse is not made."""

from __future__ import annotations

import io

import numpy as np
import pytest

from harness.bundle.build import check_sizes
from harness.bundle.verifying import evidence
from harness.errors import ConfigError


def test_counts_that_verify_would_refuse_unpacked_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_BYTES", 10_000)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.zeros(2000, np.int64))  # 16 kB in few bytes
    assert len(buffer.getvalue()) < 1000
    with pytest.raises(ConfigError, match=r"'many'.*counts/x\.npz has 16128 bytes.*fewer predictors"):
        check_sizes("many", {"counts/x.npz": buffer.getvalue()})
    with pytest.raises(ConfigError, match=r"leaderboard\.json has 10001 bytes"):
        check_sizes("many", {"leaderboard.json": bytes(10_001)})
    check_sizes("many", {"leaderboard.json": bytes(10_000)})
