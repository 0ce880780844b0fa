"""AdamW with a linear rise and fall of the learning rate, and the precision of what it learns from. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from baselines.transformers.encoders import Precision


def computing_in(precision: Precision, network: nn.Module) -> torch.autocast:
    """Returns the context in which the loss of a network is computed; gradients are computed outside of it.

    Source: Kalamkar et al. 2019, "A Study of BFLOAT16 for Deep Learning Training".
    """
    return torch.autocast(next(network.parameters()).device.type, torch.bfloat16, enabled=precision == "bf16")


def make_adamw(
    network: nn.Module, learning_rate: float, weight_decay: float, n_updates: int, warmup: float
) -> torch.optim.Optimizer:
    """Returns AdamW whose learning rate rises to its peak, then falls to 0 at the end of the training.

    The rate follows from the number of updates made, which is part of the optimizer's state: a training that goes on
    after an interruption goes on with the rate it would have had. Biases and scales of norms do not decay.

    Args:
        network: whose weights learn.
        learning_rate: at the peak.
        weight_decay: of matrices; see Loshchilov & Hutter 2019.
        n_updates: of the whole training.
        warmup: share of the updates in which the rate rises.
    """
    weights = list(network.parameters())
    groups = [
        {"params": [w for w in weights if w.dim() >= 2], "weight_decay": weight_decay},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, fused=True)
    n_warm = max(1, round(warmup * n_updates))

    def set_rate(optimizer: Any, *_: Any) -> None:
        made = updates_made(optimizer)
        share = min((made + 1) / n_warm, max(0.0, (n_updates - made) / (n_updates - n_warm + 1)))
        for group in optimizer.param_groups:
            group["lr"] = share * learning_rate

    optimizer.register_step_pre_hook(set_rate)
    return optimizer


def updates_made(optimizer: torch.optim.Optimizer) -> int:
    """Returns how many updates an optimizer has made."""
    return next((int(state["step"]) for state in optimizer.state.values()), 0)
