"""What is tried when memory lacks: smaller rows, then computing twice, then a message."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.llm.tuning.memory import Memory, advise, usual_memory


@pytest.mark.parametrize(
    ("usual", "expected"),
    [
        (Memory(1024, False), [(512, False), (256, False), (1024, True), (512, True), (256, True)]),
        (Memory(512, True), [(256, True)]),
        (Memory(1, False), [(1, True)]),
    ],
)
def test_it_ends_after_the_least(usual: Memory, expected: list[tuple[int, bool]]) -> None:
    tried = []
    now = usual.smaller(usual)
    while now is not None:
        tried.append((now.row_tokens, now.gradient_checkpointing))
        now = now.smaller(usual)
    assert tried == expected


def test_four_bits_are_for_who_is_short_of_memory() -> None:
    assert usual_memory(SimpleNamespace(is_loaded_in_4bit=True), "cuda").gradient_checkpointing
    for device in ("cpu", "cuda"):
        assert not usual_memory(SimpleNamespace(), device).gradient_checkpointing


def test_only_what_would_help_is_advised(recipe: Any) -> None:
    least = advise(recipe(quantization="4bit"), "lora", Memory(256, True))
    assert "method=lora" not in least and "quantization=4bit" not in least and "256 tokens and gradient" in least
    most = advise(recipe(batch_size=128), "full", Memory(512, False))
    assert "method=lora" in most and "quantization=4bit" in most and "its 128 examples" in most
    assert "512 tokens;" in most
    alone = advise(recipe(), "lora", None)  # rows and windows do not matter where the base does not fit
    assert "with the base alone" in alone and "-P window=" not in alone
