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
from harness.features.grouping import draw_batches

if TYPE_CHECKING:
    from harness.features.tuned import TuningRecipe

Labelled = tuple[Sequence[str], Sequence[int]]
"""Texts and the id of the label of each."""

Weights = dict[str, torch.Tensor]
"""Tensors by name."""


def tune(
    model: Any,
    tokenizer: Any,
    train: Labelled,
    dev: Labelled,
    n_labels: int,
    recipe: TuningRecipe,
    seed: int,
    tell: Tell,
) -> tuple[dict[str, Any], Weights]:
    """Trains an encoder in place; it ends with the weights of the epoch that is best on dev.

    Random numbers of others are left as they were. On the CPU, equal seeds and thread counts give equal weights.

    Returns:
        {"epoch", "dev_weighted_f1", "dev_history": one F1 an epoch, "seconds"}, and the linear layer on top of that
        epoch: "weight" float32 (n_labels, width), "bias" float32 (n_labels,).

    Raises:
        ModelError: the loss is not finite.
    """
    begin = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with _own_randomness(seed):
        model.to(device)
        head = nn.Sequential(nn.Dropout(recipe.dropout), nn.Linear(model.config.hidden_size, n_labels)).to(device)
        optimizer = torch.optim.AdamW(
            [*model.parameters(), *head.parameters()],
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,  # a third off MiniLM's time: most of its weights are embeddings, which only the update touches
        )
        n_updates = recipe.epochs * -(-len(train[0]) // recipe.batch_size)
        n_warm = max(1, round(recipe.warmup * n_updates))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / n_warm, max(0.0, (n_updates - step) / (n_updates - n_warm + 1)))
        )
        tokens = _tokenize(tokenizer, train[0], recipe)
        dev_tokens = _tokenize(tokenizer, dev[0], recipe)
        history: list[float] = []
        best: tuple[Weights, Weights] = {}, {}
        for epoch in range(recipe.epochs):
            model.train()
            head.train()
            for batch in draw_batches([len(own) for own in tokens], recipe.batch_size, seed, epoch):
                logits = _logits(model, head, tokenizer, [tokens[i] for i in batch])
                targets = torch.tensor([train[1][i] for i in batch], device=device)
                loss = nn.functional.cross_entropy(logits, targets)
                if not torch.isfinite(loss):
                    raise ModelError(f"tuning the encoder: the loss is {loss.item()} in epoch {epoch + 1}")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], recipe.max_norm)
                optimizer.step()
                schedule.step()
                tell(schedule.last_epoch, n_updates, f"tuning the encoder, loss {loss.item():.3f}")
            history.append(_dev_f1(model, head, tokenizer, dev_tokens, dev[1], recipe.batch_size))
            if history[-1] == max(history) and history.index(history[-1]) == epoch:
                best = copy.deepcopy((model.state_dict(), head[1].state_dict()))
    model.load_state_dict(best[0])
    model.to("cpu").eval()
    learned = {
        "epoch": int(np.argmax(history)) + 1,
        "dev_weighted_f1": round(max(history), 6),
        "dev_history": [round(value, 6) for value in history],
        "seconds": round(time.perf_counter() - begin, 1),
    }
    return learned, {name: tensor.cpu() for name, tensor in best[1].items()}


def _tokenize(tokenizer: Any, texts: Sequence[str], recipe: TuningRecipe) -> list[list[int]]:
    """Returns the tokens of each text, with special ones, cut at the recipe's length."""
    tokens: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=recipe.n_tokens)["input_ids"]
    return tokens


def _logits(model: Any, head: nn.Module, tokenizer: Any, tokens: Sequence[list[int]]) -> torch.Tensor:
    """Returns float32 (n_texts, n_labels)."""
    padded = tokenizer.pad({"input_ids": list(tokens)}, return_tensors="pt").to(model.device)
    logits: torch.Tensor = head(model(**padded).last_hidden_state[:, 0])
    return logits


def _dev_f1(
    model: Any, head: nn.Module, tokenizer: Any, tokens: Sequence[list[int]], labels: Sequence[int], batch_size: int
) -> float:
    model.eval()
    head.eval()
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
    predicted: list[int] = []
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = [tokens[i] for i in order[start : start + batch_size]]
            predicted += _logits(model, head, tokenizer, batch).argmax(1).tolist()
    return float(f1_score([labels[i] for i in order], predicted, average="weighted", zero_division=0))


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seeds torch, and leaves everybody else's numbers as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
