"""Windows against enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from baselines.graph.windows import Windows  # noqa: E402
from baselines.neural.batch import make_batch  # noqa: E402


@pytest.mark.parametrize(("past", "future"), [(2, 1), (0, 3), (50, 50)])
def test_windows_hold_the_utterances_around(past: int, future: int, random_dialogues: Callable[..., list[Any]]) -> None:
    dialogues = random_dialogues({"text": 4})
    batch = make_batch(dialogues, extra=2)
    windows = Windows.of(batch, past, future)
    around = windows.gather(batch.text)
    assert windows.distance.tolist() == list(range(-past, future + 1))
    assert not windows.edges[~batch.mask].any()
    for d, dialogue in enumerate(dialogues):
        for i in range(len(dialogue)):
            for slot, j in enumerate(range(i - past, i + future + 1)):
                inside = 0 <= j < len(dialogue)
                assert windows.edges[d, i, slot] == inside
                assert windows.others[d, i, slot] == (dialogue.speakers[j] if inside else -1)
                expected = batch.text[d, j] if inside else torch.zeros(4)
                assert torch.equal(around[d, i, :, slot], expected)
