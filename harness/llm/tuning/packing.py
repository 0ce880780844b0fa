"""Whether a model computes examples in a row as it does alone: most do, and it is tried out before training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch

from harness.llm.local.choice_tree import Candidates, Row
from harness.llm.local.row_pass import accepts, log_likelihoods, row_inputs, telling_positions
from harness.llm.local.scoring import tree_reach

N_TRIED = 4
"""Different examples in the row that is tried out."""

N_LOOKED_AT = 64
"""Examples of which these are the first."""


@torch.no_grad()
def packs(model: Any, examples: Sequence[Candidates]) -> bool:
    """Returns whether rows of several examples come out as examples alone do.

    A model that takes no positions or no mask of its own, or whose attention does not reach as far as the longest
    example is long, does not; neither does one whose numbers say so.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    longest = max(one.depth for one in examples)
    if not accepts(inner, "position_ids", "attention_mask") or longest > tree_reach(inner.config):
        return False
    was_training = model.training
    model.eval()
    several = list(dict.fromkeys(islice(examples, N_LOOKED_AT)))[:N_TRIED]
    together = _likelihoods(model, several)
    alone = torch.cat([_likelihoods(model, [one]) for one in several])
    model.train(was_training)
    tolerance = max(1e-3, 32 * torch.finfo(model.dtype).eps)  # nats: rounding, not another mask
    return bool((together - alone).abs().max() <= tolerance)


def _likelihoods(model: Any, examples: Sequence[Candidates]) -> torch.Tensor:
    """Returns the log-likelihood of every learned token of a row, float32 (n_learned,)."""
    row = Row(0)
    for number, one in enumerate(examples):
        row.add(number, one)
    positions, which = telling_positions(row)
    inputs = row_inputs(row, model.dtype, model.device)
    if len(examples) == 1:
        del inputs["attention_mask"]
    logits = model(**inputs, use_cache=False).logits[0, positions]
    wanted = (torch.tensor(numbers, device=logits.device) for numbers in (which, row.targets))
    return log_likelihoods(logits, *wanted)
