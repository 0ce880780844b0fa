"""States of a pretrained encoder: one vector per text and layer. Needs torch; knows no dialogue and no label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from harness.errors import ModelError
from harness.features.encoder import Layers, Tell, tell_nobody

Pool = Literal["mean", "first", "mean-max"]
"""What stands for a text: the mean over its tokens; the state of its first token, such as <s> or [CLS]; or the mean
and, beside it, the largest value of each dimension over its tokens, which is twice as wide."""


def layer_states(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    pool: Pool,
    n_layers: int,
    n_tokens: int,
    batch_size: int = 64,
    tell: Tell = tell_nobody,
) -> Layers:
    """Returns the states of the last layers, float32 (n_texts, n_layers, width), the last layer first.

    The layer before the first one, which can be asked for too, is the embeddings of the tokens.

    Equal texts are encoded once, the longest texts first, so that a batch has little padding.

    Args:
        model: encoder of transformers, on its device.
        tokenizer: its tokenizer.
        texts: what to encode.
        pool: what stands for a text.
        n_layers: number of layers.
        n_tokens: of a text, special ones included; the rest is cut off.
        batch_size: texts at once.
        tell: told how many different texts are done.

    Raises:
        ModelError: the encoder has fewer layers.
    """
    if model.config.num_hidden_layers + 1 < n_layers:
        raise ModelError(f"the encoder has {model.config.num_hidden_layers} layers; expected {n_layers - 1} or more")
    different = list(dict.fromkeys(texts))
    order = sorted(range(len(different)), key=lambda i: -len(different[i]))
    width = model.config.hidden_size * (2 if pool == "mean-max" else 1)
    states = np.empty((len(different), n_layers, width), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            states[batch] = _pooled(model, tokenizer, [different[i] for i in batch], pool, n_layers, n_tokens)
            tell(start + len(batch), len(order), "utterances encoded")
    rows = {text: i for i, text in enumerate(different)}
    return states[[rows[text] for text in texts]]


def _pooled(model: Any, tokenizer: Any, texts: list[str], pool: Pool, n_layers: int, n_tokens: int) -> Layers:
    tokens = tokenizer(texts, padding=True, truncation=True, max_length=n_tokens, return_tensors="pt").to(model.device)
    hidden = model(**tokens, output_hidden_states=True).hidden_states
    layers = torch.stack(hidden[: -n_layers - 1 : -1], dim=1)  # (n, n_layers, n_tokens, width)
    mask = tokens["attention_mask"][:, None, :, None].to(layers.dtype)
    if pool == "first":
        pooled = layers[:, :, 0]
    else:
        pooled = (layers * mask).sum(dim=2) / mask.sum(dim=2)
        if pool == "mean-max":
            largest = layers.masked_fill(mask == 0, -torch.inf).amax(dim=2)
            pooled = torch.cat([pooled, largest], dim=-1)
    states: Layers = pooled.float().cpu().numpy()
    return states
