"""The contextual LSTMs against a network written from their equations, one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.recurrent.contextual_lstm import BcLstm, CLstm  # noqa: E402
from harness.errors import ConfigError  # noqa: E402


def lstm(weights: dict[str, Any], ending: str, inputs: Any) -> Any:
    """States of one layer in one direction: gates i, f, g, o of Hochreiter & Schmidhuber with a forget gate."""

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    n = weights[f"lstm.weight_hh{ending}"].shape[1]
    h, c, states = np.zeros(n), np.zeros(n), []
    for x in inputs:
        gates = weights[f"lstm.weight_ih{ending}"] @ x + weights[f"lstm.bias_ih{ending}"]
        gates = gates + weights[f"lstm.weight_hh{ending}"] @ h + weights[f"lstm.bias_hh{ending}"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize("build", [BcLstm, CLstm])
def test_logits_follow_from_the_equations(build: type[BcLstm], random_dialogues: Callable[..., list[Any]]) -> None:
    network: Any = build(hidden=3).build(Dimensions({"text": 4}, 5, 2)).eval()
    weights = {name: value.detach().numpy().astype(np.float64) for name, value in network.state_dict().items()}
    dialogues = random_dialogues({"text": 4}, 5)
    with torch.inference_mode():
        logits = network(make_batch(dialogues)).numpy()
    for own, dialogue in zip(logits, dialogues, strict=True):
        states = dialogue.features["text"].astype(np.float64)
        for layer in ("_l0", "_l1"):
            ways = [lstm(weights, layer, states)]
            if build is BcLstm:
                ways.append(lstm(weights, f"{layer}_reverse", states[::-1])[::-1])
            states = np.concatenate(ways, axis=1)
        hidden = np.maximum(states @ weights["head.0.weight"].T + weights["head.0.bias"], 0)
        expected = hidden @ weights["head.3.weight"].T + weights["head.3.bias"]
        np.testing.assert_allclose(own[: len(dialogue)], expected, atol=1e-5)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'hidden': got 0"):
        BcLstm(hidden=0)
