"""RGAT against a loop over utterances, relations and heads, its relations against enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from graph_loops import rgat_logits  # noqa: E402

from baselines.graph.rgat import Rgat  # noqa: E402
from baselines.graph.rgat_network import relations  # noqa: E402
from baselines.graph.windows import Windows  # noqa: E402
from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from harness.errors import ConfigError  # noqa: E402


@pytest.mark.parametrize(("past", "future"), [(10, 10), (2, 0), (0, 3)])
def test_numbers_follow_from_the_equations(past: int, future: int, assert_same_numbers: Callable[..., None]) -> None:
    network = Rgat(hidden=6, heads=2, past=past, future=future).build(Dimensions({"text": 4}, 5, 3))
    names = ["weight", "match", "distance"]
    assert_same_numbers(network, rgat_logits, ["first.0.weight", *(f"attention.{name}" for name in names)])


def test_every_edge_has_one_relation(random_dialogues: Callable[..., list[Any]]) -> None:
    dialogues = random_dialogues({"text": 4})
    windows = Windows.of(make_batch(dialogues, extra=2), 3, 2)
    found = relations(windows)
    assert torch.equal(found.sum(2), windows.edges.long())
    for d, dialogue in enumerate(dialogues):
        for i, own in enumerate(dialogue.speakers):
            for j in range(max(i - 3, 0), min(i + 3, len(dialogue))):
                relation = 2 * (j > i) + (dialogue.speakers[j] != own)
                assert found[d, i, relation, j - i + 3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 0}, "'heads': got 0"),
        ({"future": -1}, "past 10, future -1: expected 0 to 200"),
        ({"heads": 7}, "hidden 300: expected a multiple of heads, 7"),
    ],
)
def test_settings_are_checked(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Rgat(**settings)  # type: ignore[arg-type]
