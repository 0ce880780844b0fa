"""Losses over labelled utterances that the systems of this family share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal_loss(logits: Tensor, labels: Tensor, focus: float, weights: Tensor | None = None) -> Tensor:
    """Returns -(1 - p)^focus log p, p of the gold label and taken as a constant, averaged by the weights of labels.

    Source: Lin et al. 2017, section 3; that p carries no gradient is zerohd4869/DialogueCRN's. With focus 0 it is
    cross-entropy.

    Args:
        logits: float32 (n, n_labels).
        labels: int64 (n,), ids.
        focus: gamma, 0 or more.
        weights: of the labels, float32 (n_labels,); None: all equal.
    """
    chosen = functional.log_softmax(logits, dim=-1).gather(1, labels[:, None]).squeeze(1)
    losses = -((1 - chosen.detach().exp()) ** focus) * chosen
    shares = torch.ones_like(losses) if weights is None else weights[labels]
    return (losses * shares).sum() / shares.sum()


def contrast_loss(states: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Returns NT-Xent with labels: how far same-labelled utterances are from being the nearest; 0 without a pair.

    For each ordered pair (a, p) of different utterances with the same label,

        -log( exp(s_ap / t) / (exp(s_ap / t) + sum over n of another label of exp(s_an / t)) )

    averaged over pairs; s is the dot product of states of length 1. Cost and memory quadratic in the utterances.

    Source: Chen et al. 2020, "SimCLR", equation 1, with labels in the place of augmented copies, as in SACL-LSTM (Hu et
    al. 2023, section 3.1).

    Args:
        states: float32 (n, width).
        labels: int64 (n,).
        temperature: t, above 0.
    """
    units = functional.normalize(states, dim=-1)
    nearness = units @ units.T / temperature
    same = labels[:, None] == labels
    others = nearness.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
    pairs = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    losses = torch.logaddexp(nearness, others) - nearness
    return (losses * pairs).sum() / pairs.sum().clamp(min=1)
