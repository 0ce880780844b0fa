"""CauAIN, with and without knowledge, against a loop over pairs of utterances written from its equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions, NeuralPredictor  # noqa: E402
from baselines.neural.relations import RELATIONS  # noqa: E402
from baselines.recurrent.cauain import Cauain, CauainNoKb  # noqa: E402
from harness.errors import ConfigError, DataError  # noqa: E402

WIDTHS: dict[Any, int] = {"text": 4, "knowledge": 18}


def system(knowledge: bool, **params: Any) -> NeuralPredictor:
    return Cauain(knowledge="minilm", **params) if knowledge else CauainNoKb(**params)


def gru(rnn: Any, ending: str, inputs: list[Any]) -> list[Any]:
    """States of one direction: gates r, z, n of Cho et al. 2014, the reset gate after the product, as torch has it."""
    w_in, w_own, b_in, b_own = (
        getattr(rnn, kind + ending) for kind in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    )
    h, states = torch.zeros(w_own.shape[1]), []
    for x in inputs:
        (r, z, n), (r_own, z_own, n_own) = (w_in @ x + b_in).chunk(3), (w_own @ h + b_own).chunk(3)
        z = torch.sigmoid(z + z_own)
        h = (1 - z) * torch.tanh(n + torch.sigmoid(r + r_own) * n_own) + z * h
        states.append(h)
    return states


def apply(layer: Any, x: Any) -> Any:
    return layer.weight @ x + layer.bias


def answer(network: Any, dialogue: Any, knowledge: bool) -> list[Any]:
    """Returns the logits of each utterance."""
    narrow = [apply(network.narrow, torch.from_numpy(u)) for u in dialogue.features["text"]]
    back = gru(network.gru, "_reverse", narrow[::-1])[::-1]
    states = [torch.cat(pair) for pair in zip(gru(network.gru, "", narrow), back, strict=True)]

    def clue(j: int, same: bool) -> Any:
        if not knowledge:
            return torch.zeros_like(states[j])
        vectors = dict(zip(RELATIONS, torch.from_numpy(dialogue.features["knowledge"][j]).chunk(9), strict=True))
        names = ("xWant", "xEffect", "xReact") if same else ("oWant", "oEffect", "oReact")
        layer = network.clues.of_speaker if same else network.clues.of_others
        return apply(network.clues.shared, apply(layer, torch.cat([vectors[name] for name in names])))

    logits = []
    for i, state in enumerate(states):
        query = apply(network.query, state)
        clues = [clue(j, dialogue.speakers[j] == dialogue.speakers[i]) for j in range(i + 1)]
        keys = [apply(network.key, states[j]) + clues[j] for j in range(i + 1)]
        nearness = [(query @ key / math.sqrt(network.hidden)).exp() for key in keys]
        weights = [own / sum(nearness) for own in nearness]
        effect = sum(weights[j] * (apply(network.value, states[j]) + clues[j]) for j in range(i + 1))
        cause = sum(weights[j] * apply(network.query, states[j]) for j in range(i + 1))
        x = torch.cat([effect, cause])
        for layer in (network.head[1], network.head[3]):
            x = apply(layer, x).clamp(min=0)
        logits.append(apply(network.head[5], x))
    return logits


@pytest.mark.parametrize("knowledge", [True, False])
def test_logits_and_gradients_follow_from_the_equations(
    knowledge: bool, random_dialogues: Callable[..., list[Any]]
) -> None:
    widths = WIDTHS if knowledge else {"text": 4}
    torch.manual_seed(0)
    network: Any = system(knowledge, hidden=3).build(Dimensions(widths, 5, 9)).eval()
    dialogues = random_dialogues(widths, 5)
    batch = make_batch(dialogues)
    expected = torch.stack([own for dialogue in dialogues for own in answer(network, dialogue, knowledge)])
    logits = network(batch)[batch.mask]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(x.pow(2).sum(), list(network.parameters())) for x in (logits, expected))
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)


def test_without_knowledge_it_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"-P knowledge=file:FILE; 'cauain-no-kb' is the variant") as refused:
        Cauain()
    assert "\n" not in str(refused.value)


def test_knowledge_of_another_width_is_refused() -> None:
    with pytest.raises(DataError, match="knowledge: 768 numbers an utterance, expected 9 vectors"):
        system(True).build(Dimensions({"text": 4, "knowledge": 768}, 7, 2))


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'hidden': got 0"):
        CauainNoKb(hidden=0)
