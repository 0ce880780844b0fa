"""The training loop: epochs in a drawn order, chosen on dev, stopped early, resumed with the same result.

Knows networks and batches as tensors; what a batch is made of, and what the loss is, the system says. Every epoch
seeds torch anew from (seed, epoch), so that a training that goes on after an interruption draws what it would have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from baselines.neural.checkpoints import Checkpoints, Progress
from harness.errors import ModelError
from harness.features.grouping import draw_batches
from harness.metrics import get_metric, tally, totals_of

Item = TypeVar("Item")
"""One dialogue as the system has it."""

N_THREADS = 1
"""Of torch, while small networks learn and predict on the CPU: with two, splitting the work costs more than it saves,
and sums would depend on the machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to train, and how to choose."""

    epochs: int
    batch_size: int
    """Dialogues."""
    patience: int
    """Epochs without a better score on dev after which training stops; 0: it never does."""
    seed: int
    all_threads: bool = False
    """Whether torch computes with as many threads as the process has, which pays for large networks, else with
    `N_THREADS`."""


@dataclass(frozen=True, slots=True)
class Task(Generic[Item]):
    """What is trained, and how the system wants it."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    train: Sequence[Item]
    dev: Sequence[Item]
    size: Callable[[Item], int]
    """Length of an item: items of similar length are predicted together."""
    backward: Callable[[Sequence[Item]], float]
    """Computes the gradients of a batch, from zero, and returns its loss."""
    predict: Callable[[Sequence[Item]], list[np.ndarray[Any, np.dtype[np.float32]]]]
    """Returns logits float32 (n_utterances, n_labels) for each item of a batch."""
    gold: Callable[[Item], np.ndarray[Any, np.dtype[np.int64]]]
    """Ids of labels, int64 (n_utterances,); -1: not counted."""
    n_labels: int


Tell = Callable[[Progress, Plan], None]


def train(task: Task[Item], plan: Plan, checkpoints: Checkpoints, tell: Tell) -> Progress:
    """Trains until the end or until patience is spent; the network then has the weights of the best epoch on dev.

    Of equally good epochs the first counts.

    Args:
        task: what is trained.
        plan: how long.
        checkpoints: what an interrupted training goes on from.
        tell: told after every epoch.

    Raises:
        ModelError: the loss is not finite.
        StoreError: checkpoints cannot be written or read.
    """
    progress = checkpoints.restore(task.network, task.optimizer) or Progress()
    with nullcontext() if plan.all_threads else one_thread(), torch.random.fork_rng():
        while not is_over(progress, plan):
            begin = time.perf_counter()
            epoch = progress.epoch + 1
            torch.manual_seed(int(np.random.SeedSequence([plan.seed, epoch]).generate_state(1)[0]))
            loss = _run_epoch(task, plan, epoch)
            score = dev_score(task)
            progress = progress.after(epoch, loss, score, round(time.perf_counter() - begin, 3))
            checkpoints.keep(task.network, task.optimizer, progress)
            tell(progress, plan)
    checkpoints.restore_best(task.network, progress)
    return progress


def is_over(progress: Progress, plan: Plan) -> bool:
    """Whether no further epoch is to be run."""
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= plan.epochs or bool(plan.patience and progress.epoch and waited >= plan.patience)


def dev_score(task: Task[Item]) -> float:
    """Returns the weighted F1 of the network on dev, a fraction."""
    answers = predict_items(task.network, task.dev, task.predict, task.size)
    gold = np.concatenate([task.gold(item) for item in task.dev])
    predicted = np.concatenate([logits.argmax(axis=1) for logits in answers])
    known = gold >= 0
    counts = tally(np.zeros(known.sum(), np.int64), gold[known], predicted[known], 1, task.n_labels)
    return float(get_metric("weighted_f1").value(totals_of(counts[0])))


def predict_items(
    network: nn.Module,
    items: Sequence[Item],
    predict: Callable[[Sequence[Item]], list[np.ndarray[Any, np.dtype[np.float32]]]],
    size: Callable[[Item], int],
    batch_size: int = 64,
) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Returns the logits of every item, in order; items of similar length go together."""
    network.eval()
    order = sorted(range(len(items)), key=lambda i: size(items[i]))
    answers: dict[int, np.ndarray[Any, np.dtype[np.float32]]] = {}
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            answers |= zip(batch, predict([items[i] for i in batch]), strict=True)
    return [answers[i] for i in range(len(items))]


def _run_epoch(task: Task[Item], plan: Plan, epoch: int) -> float:
    """Makes the updates of one epoch; returns the mean loss of its batches."""
    task.network.train()
    losses = []
    for batch in draw_batches([task.size(item) for item in task.train], plan.batch_size, plan.seed, epoch):
        losses.append(task.backward([task.train[i] for i in batch]))
        if not np.isfinite(losses[-1]):
            raise ModelError(f"the loss is {losses[-1]} in epoch {epoch}; give a lower one: -P learning_rate=...")
        task.optimizer.step()
    return float(np.mean(losses))


def class_weights(labels: Sequence[np.ndarray[Any, np.dtype[np.int64]]], n_labels: int) -> Tensor:
    """Returns float32 (n_labels,): n / (n_labels * count), from training labels only; 0 for a label they lack.

    Source: the 'balanced' heuristic of scikit-learn (King & Zeng 2001).
    """
    known = np.concatenate(labels)
    counts = np.bincount(known[known >= 0], minlength=n_labels)
    weights = counts.sum() / (n_labels * np.maximum(counts, 1)) * (counts > 0)
    return torch.tensor(weights, dtype=torch.float32)


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch compute with `N_THREADS` threads on the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)
