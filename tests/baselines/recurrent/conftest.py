"""Loops written from equations, which the networks of this family are compared with; they carry gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def levels_loop() -> Callable[..., tuple[list[Any], list[Any]]]:
    """Returns a function that gives situation and speaker states of one dialogue, a tensor for each utterance."""
    import torch

    def lstm(rnn: Any, layer: int, ending: str, inputs: list[Any]) -> list[Any]:
        w_in, w_own, b_in, b_own = (
            getattr(rnn, f"{kind}_l{layer}{ending}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h, c, states = torch.zeros(w_own.shape[1]), torch.zeros(w_own.shape[1]), []
        for x in inputs:
            i, f, g, o = (w_in @ x + b_in + w_own @ h + b_own).chunk(4)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return states

    def both_ways(rnn: Any, inputs: list[Any]) -> list[Any]:
        for layer in range(rnn.num_layers):
            back = lstm(rnn, layer, "_reverse", inputs[::-1])[::-1]
            inputs = [torch.cat(pair) for pair in zip(lstm(rnn, layer, "", inputs), back, strict=True)]
        return inputs

    def run(levels: Any, text: Any, speakers: list[int], least_turns: int = 1) -> tuple[list[Any], list[Any]]:
        situation = both_ways(levels.situation, list(text))
        speaker = [torch.zeros_like(state) for state in situation]
        for who in set(speakers):
            own = [i for i, name in enumerate(speakers) if name == who]
            if len(own) >= least_turns:
                for i, state in zip(own, both_ways(levels.speaker, [text[i] for i in own]), strict=True):
                    speaker[i] = state
        return situation, speaker

    return run
