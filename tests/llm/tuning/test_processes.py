"""Processes that are launched together: they find each other, or say that they do not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.errors import ConfigError
from harness.llm.tuning.processes import is_first, n_processes, wait_for_all


def test_one_process_is_the_first_and_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert n_processes() == 1 and is_first()
    wait_for_all()


def test_processes_that_cannot_reach_each_other_do_not_train_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each would train on all data and write over the others' checkpoints.
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("accelerate.PartialState", lambda cpu: SimpleNamespace(num_processes=1))
    assert n_processes() == 2 and not is_first()
    with pytest.raises(ConfigError, match="2 processes were launched, and each sees 1"):
        wait_for_all()
