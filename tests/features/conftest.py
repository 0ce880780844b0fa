"""A corpus of two dialogues a split, and a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data import Split
from harness.schema import Dialogue, LabelSet, Utterance

LABELS = LabelSet(("neutral", "joy"), "neutral")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def splits() -> dict[str, Split]:
    """Splits whose utterance ids repeat from split to split, as those of MELD do."""
    made = {}
    for name in ("train", "dev", "test"):
        dialogues = tuple(Dialogue(f"d{d}", tuple(utterance(name, d, u) for u in range(2 + d))) for d in range(2))
        made[name] = Split("lab", name, dialogues, LABELS)  # type: ignore[arg-type]
    return made


def utterance(split: str, d: int, u: int) -> Utterance:
    speaker, label = ("Ann", "joy") if u % 2 else ("Bo", "neutral")
    return Utterance(f"d{d}_u{u}", (speaker,), f"{split} words {d} {u}", label)
