"""What the tests of graph systems share: comparing a network with a loop written from the equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

Logits = Callable[[Any, Any], Any]


@pytest.fixture
def assert_same_numbers(random_dialogues: Callable[..., list[Any]]) -> Callable[[Any, Logits, Sequence[str]], None]:
    """Returns a function that fails unless a network for 4 features and 5 labels agrees with a loop.

    In the logits of dialogues of one utterance, of 40, with nine speakers; and in the gradients of the cross-entropy.
    """

    def check(network: Any, loop: Logits, names: Sequence[str]) -> None:
        import torch

        from baselines.neural.batch import make_batch

        dialogues = random_dialogues({"text": 4}, 5)
        batch = make_batch(dialogues)
        parameters = [network.eval().get_parameter(name) for name in names]
        generator = torch.Generator().manual_seed(0)
        for parameter in network.parameters():
            parameter.data = 0.4 * torch.randn(parameter.shape, generator=generator)
        ours, theirs = network(batch)[batch.mask], torch.cat([loop(network, dialogue) for dialogue in dialogues])
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        gold = batch.labels[batch.mask]
        losses = [torch.nn.functional.cross_entropy(logits, gold, ignore_index=-1) for logits in (ours, theirs)]
        gradients = [torch.autograd.grad(loss, parameters) for loss in losses]
        for own, other in zip(*gradients, strict=True):
            assert other.abs().max() > 1e-4
            torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)

    return check
