"""DialogueGCN against a loop over utterances and edges, its relations against enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from graph_loops import dialogue_gcn_logits  # noqa: E402

from baselines.graph.dialogue_gcn import DialogueGcn  # noqa: E402
from baselines.graph.windows import Windows  # noqa: E402
from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from harness.errors import ConfigError  # noqa: E402


@pytest.mark.parametrize(("past", "future"), [(10, 10), (2, 0), (0, 3)])
def test_numbers_follow_from_the_equations(past: int, future: int, assert_same_numbers: Callable[..., None]) -> None:
    network = DialogueGcn(hidden=6, bases=2, past=past, future=future).build(Dimensions({"text": 4}, 5, 3))
    names = ["relational.bases", "relational.coefficients", "positions.weight", "around.weight", "match.weight"]
    assert_same_numbers(network, dialogue_gcn_logits, [*names, "context.weight_ih_l0_reverse"])


def test_relations_are_those_of_ordered_pairs_of_speakers(random_dialogues: Callable[..., list[Any]]) -> None:
    """Nine speakers where three were seen: the fourth shares the relations of the first, and so on."""
    dialogues = random_dialogues({"text": 4})
    network = DialogueGcn(past=2, future=2).build(Dimensions({"text": 4}, 5, 3))
    windows = Windows.of(make_batch(dialogues), 2, 2)
    relations, names = network.relations(windows), {}
    for d, dialogue in enumerate(dialogues):
        for i, own in enumerate(dialogue.speakers):
            for j in range(max(i - 2, 0), min(i + 3, len(dialogue))):
                key = (own % 3, dialogue.speakers[j] % 3, i < j)
                number = int(relations[d, i, j - i + 2])
                assert names.setdefault(key, number) == number
    assert len(set(names.values())) == len(names) == 18
    assert set(names.values()) == set(range(18))


@pytest.mark.parametrize(("width", "expected"), [(100, 1_186_646), (1024, 1_925_846)])
def test_number_of_weights_for_two_speakers(width: int, expected: int) -> None:
    network = DialogueGcn().build(Dimensions({"text": width}, 6, 2))
    assert sum(p.numel() for p in network.parameters()) == expected


def test_positions_beyond_the_last_share_its_weights() -> None:
    from baselines.neural.numbering import NumberedDialogue

    torch.manual_seed(0)
    network: Any = DialogueGcn(hidden=6, bases=2).build(Dimensions({"text": 4}, 5, 2)).eval()
    long = NumberedDialogue(
        {"text": torch.randn(130, 4).numpy()},
        (torch.arange(130) % 2).numpy(),
        torch.zeros(130, dtype=torch.int64).numpy(),
    )
    with torch.inference_mode():
        ours = network(make_batch([long]))[0]
        torch.testing.assert_close(ours, dialogue_gcn_logits(network, long), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"bases": 0}, "'bases': got 0"), ({"past": -1}, "past -1, future 10: expected 0 to 200")],
)
def test_settings_are_checked(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DialogueGcn(**settings)  # type: ignore[arg-type]
