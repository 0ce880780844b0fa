"""The layer over utterances: attention written head by head, within a passage and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from baselines.transformers.utterance_layer import N_HEADS, UtteranceLayer  # noqa: E402

WIDTH = 16


def layer_by_hand(layer: Any, vectors: Any) -> Any:
    """The states of one passage, an utterance and a head at a time."""
    n = WIDTH // N_HEADS
    weight, bias = layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
    states = []
    for own in vectors:
        heads = []
        for head in range(N_HEADS):
            q, k, v = (slice(part * WIDTH + head * n, part * WIDTH + (head + 1) * n) for part in range(3))
            query = weight[q] @ own + bias[q]
            scores = torch.stack([query @ (weight[k] @ other + bias[k]) for other in vectors]) / n**0.5
            values = torch.stack([weight[v] @ other + bias[v] for other in vectors])
            heads.append(torch.softmax(scores, dim=0) @ values)
        state = layer.norm1(own + layer.self_attn.out_proj(torch.cat(heads)))
        wide = torch.nn.functional.gelu(layer.linear1(state))
        states.append(layer.norm2(state + layer.linear2(wide)))
    return torch.stack(states)


def test_states_and_gradients_follow_from_the_equations() -> None:
    torch.manual_seed(0)
    layer = UtteranceLayer(WIDTH, 0.0)
    vectors, counts = torch.randn(12, WIDTH, requires_grad=True), [3, 1, 8]
    ours = layer(vectors, counts)
    theirs = torch.cat([layer_by_hand(layer.layer, part) for part in vectors.split(counts)])
    np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=1e-5)
    asked = [vectors, *layer.parameters()]
    for own, other in zip(
        torch.autograd.grad((ours**3).sum(), asked), torch.autograd.grad((theirs**3).sum(), asked), strict=True
    ):
        np.testing.assert_allclose(own, other, atol=2e-4)


def test_passages_do_not_see_each_other_and_utterances_do() -> None:
    torch.manual_seed(0)
    layer = UtteranceLayer(WIDTH, 0.0).eval()
    vectors = torch.randn(7, WIDTH)
    before = layer(vectors, [2, 5])
    vectors[0] += 1
    moved = (layer(vectors, [2, 5]) - before).abs().amax(dim=1) > 1e-6
    assert moved.tolist() == [True, True, False, False, False, False, False]
