"""Fine-tunes an encoder to tell labels of single texts apart. Needs torch; knows no dialogue and no split."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import nn

from harness.errors import ModelError
from harness.features.encoder import Tell

if TYPE_CHECKING:
    from harness.features.tuned import TuningRecipe

Labelled = tuple[Sequence[str], Sequence[int]]
"""Texts and the id of the label of each."""


def tune(
    model: Any,
    tokenizer: Any,
    train: Labelled,
    dev: Labelled,
    n_labels: int,
    recipe: TuningRecipe,
    seed: int,
    tell: Tell,
) -> dict[str, Any]:
    """Trains an encoder in place; it ends with the weights of the epoch that is best on dev.

    Random numbers of others are left as they were. On the CPU, equal seeds and thread counts give equal weights.

    Returns:
        {"epoch", "dev_weighted_f1", "dev_history": one F1 an epoch, "seconds"}.

    Raises:
        ModelError: the loss is not finite.
    """
    begin = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with _own_randomness(seed):
        model.to(device)
        head = nn.Sequential(nn.Dropout(recipe.dropout), nn.Linear(model.config.hidden_size, n_labels)).to(device)
        optimizer = torch.optim.AdamW(
            [*model.parameters(), *head.parameters()], lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        n_updates = recipe.epochs * -(-len(train[0]) // recipe.batch_size)
        n_warm = max(1, round(recipe.warmup * n_updates))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / n_warm, max(0.0, (n_updates - step) / (n_updates - n_warm + 1)))
        )
        history: list[float] = []
        best: dict[str, torch.Tensor] = {}
        for epoch in range(recipe.epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(train[0])).tolist()
            model.train()
            head.train()
            for logits, targets in _batches(model, head, tokenizer, train, order, recipe):
                loss = nn.functional.cross_entropy(logits, targets)
                if not torch.isfinite(loss):
                    raise ModelError(f"tuning the encoder: the loss is {loss.item()} in epoch {epoch + 1}")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], recipe.max_norm)
                optimizer.step()
                schedule.step()
                tell(schedule.last_epoch, n_updates, f"tuning the encoder, loss {loss.item():.3f}")
            history.append(_dev_f1(model, head, tokenizer, dev, recipe))
            if history[-1] == max(history) and history.index(history[-1]) == epoch:
                best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    model.to("cpu").eval()
    return {
        "epoch": int(np.argmax(history)) + 1,
        "dev_weighted_f1": round(max(history), 6),
        "dev_history": [round(value, 6) for value in history],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _batches(
    model: Any, head: nn.Module, tokenizer: Any, labelled: Labelled, order: Sequence[int], recipe: TuningRecipe
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields (logits, targets), float32 (batch, n_labels) and int64 (batch,)."""
    texts, labels = labelled
    for start in range(0, len(order), recipe.batch_size):
        batch = order[start : start + recipe.batch_size]
        tokens = tokenizer(
            [texts[i] for i in batch], padding=True, truncation=True, max_length=recipe.n_tokens, return_tensors="pt"
        ).to(model.device)
        logits = head(model(**tokens).last_hidden_state[:, 0])
        yield logits, torch.tensor([labels[i] for i in batch], device=logits.device)


def _dev_f1(model: Any, head: nn.Module, tokenizer: Any, dev: Labelled, recipe: TuningRecipe) -> float:
    model.eval()
    head.eval()
    order = sorted(range(len(dev[0])), key=lambda i: len(dev[0][i]))
    with torch.inference_mode():
        predicted = [
            int(label)
            for logits, _ in _batches(model, head, tokenizer, dev, order, recipe)
            for label in logits.argmax(1)
        ]
    return float(f1_score([dev[1][i] for i in order], predicted, average="weighted", zero_division=0))


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seeds torch, and leaves everybody else's numbers as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
