"""Learning topics from words alone: some are hidden, and found again by what is left and by the topics. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.neural.training import Plan
from baselines.transformers.encoders import Precision
from baselines.transformers.optimizing import computing_in, make_adamw
from baselines.transformers.todkat_network import TodkatNetwork
from harness.errors import ConfigError, ModelError
from harness.features.grouping import draw_batches

SHARE = 0.15
"""Of the words that are to be found, one in each text at least. Source: Devlin et al. 2019, section 3.1."""

SHOWN = (0.8, 0.1)
"""Of these, how many are shown as a mask, and how many as another word; the rest as they are."""

WARMUP, WEIGHT_DECAY, MAX_NORM = 0.06, 0.01, 1.0


def hide_words(
    ids: NDArray[np.int64], tokenizer: Any, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns (ids as they are shown, where a word is to be found), both (n_texts, n_tokens).

    Args:
        ids: int64 (n_texts, n_tokens); special tokens, padding among them, are never hidden.
        tokenizer: of the encoder.
        rng: that draws.

    Raises:
        ConfigError: the tokenizer has no mask.
    """
    if tokenizer.mask_token_id is None:
        raise ConfigError("the encoder's tokenizer has no mask token; give a masked language model: -P encoder=...")
    words = ~np.isin(ids, tokenizer.all_special_ids)
    order = np.where(words, rng.random(ids.shape), 2.0)
    n_hidden = np.maximum(1, np.round(SHARE * words.sum(axis=1)).astype(int))
    hidden = (order.argsort(axis=1).argsort(axis=1) < n_hidden[:, None]) & words
    how = rng.random(ids.shape)
    others = rng.integers(len(tokenizer), size=ids.shape)
    shown = np.where(how < SHOWN[0], tokenizer.mask_token_id, np.where(how < sum(SHOWN), others, ids))
    return np.where(hidden, shown, ids), hidden


def learn_topics(
    network: TodkatNetwork,
    texts: Sequence[Sequence[int]],
    tokenizer: Any,
    plan: Plan,
    learning_rate: float,
    precision: Precision,
    tell: Callable[[int, int, float], None],
) -> None:
    """Trains encoder, topics and head for words to find hidden words of texts again; other parts stay as they are.

    Random numbers of others are left as they were.

    Args:
        network: what learns.
        texts: token ids of each.
        tokenizer: of the encoder.
        plan: epochs, texts in a batch, seed; nothing is chosen on dev.
        learning_rate: at its peak, with linear warm-up and decay.
        precision: of matrix products.
        tell: told updates made, updates planned, and the loss.

    Raises:
        ConfigError: the tokenizer has no mask.
        ModelError: the loss is not finite.
    """
    special = set(tokenizer.all_special_ids)
    texts = [tokens for tokens in texts if not special.issuperset(tokens)]
    n_updates = plan.epochs * -(-len(texts) // plan.batch_size)
    optimizer = make_adamw(network, learning_rate, WEIGHT_DECAY, n_updates, WARMUP)
    made = 0
    with torch.random.fork_rng():
        for epoch in range(1, plan.epochs + 1):
            rng = np.random.default_rng([plan.seed, epoch, 1])
            torch.manual_seed(int(rng.integers(2**31)))
            network.train()
            for batch in draw_batches([len(tokens) for tokens in texts], plan.batch_size, plan.seed, epoch):
                with computing_in(precision, network):
                    loss = _loss(network, [texts[i] for i in batch], tokenizer, rng)
                if not torch.isfinite(loss):
                    raise ModelError(f"learning topics: the loss is {loss.item()} in epoch {epoch}")
                network.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), MAX_NORM)
                optimizer.step()
                made += 1
                tell(made, n_updates, float(loss.detach()))
    network.zero_grad()


def _loss(network: TodkatNetwork, texts: Sequence[Sequence[int]], tokenizer: Any, rng: np.random.Generator) -> Tensor:
    ids, mask = network.pad(texts)
    shown, hidden = hide_words(ids.cpu().numpy(), tokenizer, rng)
    where = torch.from_numpy(hidden).to(ids.device)
    return network.masked_loss(torch.from_numpy(shown).to(ids.device), mask, where, ids[where])
