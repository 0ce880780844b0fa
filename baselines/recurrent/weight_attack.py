"""Adversarial changes of weights: the fast gradient method on some tensors of a network.

Source: Miyato et al. 2017, "Adversarial Training Methods for Semi-Supervised Text Classification", section 3, there for
word embeddings; SACL-LSTM (Hu et al. 2023, section 3.2) for weights of LSTMs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def attacked(targets: Sequence[nn.Parameter], size: float) -> Iterator[None]:
    """Adds size * g / |g| to each target, g its gradient, while the body of `with` runs.

    What is computed there adds to the gradients of all other weights. Afterwards the targets have their weights again,
    to the bit, and the gradients that they came with. A target whose gradient is 0 stays as it is.

    Args:
        targets: parameters of a network.
        size: Euclidean length of the change of each.
    """
    before = [target.detach().clone() for target in targets]
    gradients = [None if target.grad is None else target.grad.clone() for target in targets]
    try:
        with torch.no_grad():
            for target in targets:
                if target.grad is not None:
                    length = target.grad.norm()
                    target.add_(torch.where(length > 0, size * target.grad / length, 0.0))
        yield
    finally:
        with torch.no_grad():
            for target, weights, gradient in zip(targets, before, gradients, strict=True):
                target.copy_(weights)
                target.grad = gradient
