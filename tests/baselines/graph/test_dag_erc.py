"""DAG-ERC against a loop over utterances, its graph against a walk back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from graph_loops import dag_erc_logits, heard_by  # noqa: E402

from baselines.graph.dag_erc import DagErc  # noqa: E402
from baselines.graph.dag_erc_network import earliest, predecessors  # noqa: E402
from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.numbering import NumberedDialogue, number_speakers  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from harness.errors import ConfigError  # noqa: E402


@pytest.mark.parametrize(("layers", "omega"), [(1, 1), (2, 1), (2, 2)])
def test_numbers_follow_from_the_equations(layers: int, omega: int, assert_same_numbers: Callable[..., None]) -> None:
    network = DagErc(hidden=6, layers=layers, omega=omega).build(Dimensions({"text": 4}, 5, 3))
    own = ["attention.weight", "same.weight", "other.weight", "state_cell.weight_hh", "message_cell.bias_hh"]
    names = [f"layers.{layers - 1}.{name}" for name in own]
    assert_same_numbers(network, dag_erc_logits, ["first.weight", *names])


@pytest.mark.parametrize("omega", [1, 2, 3])
def test_the_graph_goes_back_to_the_same_speaker(omega: int, random_dialogues: Callable[..., list[Any]]) -> None:
    dialogues = random_dialogues({"text": 4})
    batch = make_batch(dialogues, extra=2)
    edges = predecessors(batch, omega)
    assert not edges[~batch.mask].any()
    walks = [[heard_by(i, dialogue.speakers.tolist(), omega) for i in range(len(dialogue))] for dialogue in dialogues]
    for own, walk in zip(edges, walks, strict=True):
        assert [sorted(heard) for heard in walk] == [row.nonzero().squeeze(1).tolist() for row in own[: len(walk)]]
    n = edges.shape[1]
    firsts = [min([n, *(j for walk in walks if i < len(walk) for j in walk[i])]) for i in range(n)]
    assert earliest(edges) == firsts


def test_who_hears_whom_in_a_dialogue_of_three() -> None:
    """Worked out by hand: A B A C B A with omega 1."""
    speakers = number_speakers(list("ABACBA"))
    dialogue = NumberedDialogue({"text": torch.zeros(6, 1).numpy()}, speakers, speakers)
    edges = predecessors(make_batch([dialogue]), 1)[0]
    heard = [row.nonzero().squeeze(1).tolist() for row in edges]
    assert heard == [[], [0], [0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'omega': got 0"):
        DagErc(omega=0)
