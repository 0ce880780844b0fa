"""The base of systems with a network that learns: how it trains, what is kept of it, and how it answers.

A family of systems says what its networks read, the items, and which rows of logits answer for a view. Importing it
loads no torch.
"""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from baselines.neural.outcome import (
    check_packages,
    describe_epoch,
    make_predictions,
    pick_device,
    reading_weights,
    summarise_training,
)
from harness.errors import PredictionError
from harness.predictors import Predictor
from harness.predictors.checks import check_fraction, check_not_negative, check_positive
from harness.predictors.session import FitProgress, Session
from harness.schema import DialogueView, Prediction

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from baselines.neural.checkpoints import Checkpoints, Progress
    from baselines.neural.training import Plan

Item = TypeVar("Item")
"""What a network reads at once, such as a dialogue."""

Logits = NDArray[np.float32]

WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"


@dataclass(eq=False)
class TrainedPredictor(Predictor, Generic[Item]):
    """A network that learned from labelled splits, and answers with probabilities."""

    epochs: int = 60
    """At most; the one with the highest weighted F1 on dev is kept."""
    patience: int = 20
    """Epochs without a better one after which training stops; 0: never."""
    batch_size: int = 32
    """Items."""
    dropout: float = 0.25
    class_weights: Literal["none", "train"] = "none"
    """Whether rare labels weigh more in the loss, in inverse proportion to their training counts."""
    seed: int = 0

    all_threads: ClassVar[bool] = False
    """Whether torch computes with every thread that the process has; pays for large networks only."""
    code_modules: ClassVar[tuple[str, ...]] = (
        *(f"baselines.neural.{name}" for name in ("training", "checkpoints", "outcome")),
        "harness.features.grouping",
    )

    _session: Session = field(default_factory=Session, init=False, repr=False)
    _labels: tuple[str, ...] = field(default=(), init=False, repr=False)
    _network: "nn.Module | None" = field(default=None, init=False, repr=False)
    _training: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    # What a family says

    @abstractmethod
    def new_network(self) -> "nn.Module":
        """Returns a network before any training, on its device; its weights are drawn within `seeded`."""

    @abstractmethod
    def read_views(self, views: Sequence[DialogueView]) -> tuple[list[Item], list[slice]]:
        """Returns what is read to answer views, and which part of it belongs to each view."""

    @abstractmethod
    def size(self, item: Item) -> int:
        """Returns the length of an item; items of similar length are computed together."""

    @abstractmethod
    def gold(self, item: Item) -> NDArray[np.int64]:
        """Returns the ids of its labels, int64 (n_answers,); -1: none."""

    @abstractmethod
    def logits(self, network: "nn.Module", items: Sequence[Item]) -> list[Logits]:
        """Returns logits float32 (n_answers, n_labels) of each item of a batch."""

    @abstractmethod
    def rows_of(self, view: DialogueView, items: Sequence[Item], logits: Sequence[Logits]) -> Logits:
        """Returns logits float32 (n_targets, n_labels) of a view from those of the items that belong to it."""

    def settings(self) -> dict[str, Any]:
        """Returns what `new_network` needs beside parameters and labels, as JSON values. Default: nothing."""
        return {}

    def restore(self, settings: dict[str, Any], folder: Path) -> None:
        """Takes back what `settings` returned, and what else `save` wrote. Default: nothing."""

    # What families make use of

    def learn(
        self,
        network: "nn.Module",
        optimizer: "torch.optim.Optimizer",
        train: Sequence[Item],
        dev: Sequence[Item],
        backward: Callable[[Sequence[Item]], float],
        steps: int = 1,
    ) -> None:
        """Trains a network, keeps the weights of the epoch with the highest weighted F1 on dev, and answers with it.

        Args:
            network: a new one.
            optimizer: of its weights.
            train: items with labels.
            dev: items with labels.
            backward: computes the gradients of a batch, from zero, and returns its loss.
            steps: what an epoch counts in reports of progress.

        Raises:
            ModelError: the loss is not finite.
            StoreError: checkpoints cannot be written or read.
        """
        from baselines.neural.training import Plan, Task
        from baselines.neural.training import train as train_network

        def tell(progress: "Progress", plan: "Plan") -> None:
            done = FitProgress(progress.epoch * steps, plan.epochs * steps, describe_epoch(progress))
            self._session.report(done)

        plan = Plan(self.epochs, self.batch_size, self.patience, self.seed, self.all_threads)
        task = Task(
            network, optimizer, train, dev, self.size, backward, lambda batch: self.logits(network, batch), self.gold,
            len(self._labels),
        )  # fmt: skip
        progress = train_network(task, plan, self._checkpoints(), tell)
        self._network, self._training = network, summarise_training(network, progress, pick_device())

    def label_weights(self, items: Sequence[Item]) -> "Tensor | None":
        """Returns the weights of labels in the loss, float32 (n_labels,), from training items; None: all equal."""
        from baselines.neural.training import class_weights

        if self.class_weights == "none":
            return None
        return class_weights([self.gold(item) for item in items], len(self._labels)).to(pick_device())

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Seeds torch, and leaves everybody else's numbers as they were."""
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            yield

    # What the harness asks of every predictor

    def __post_init__(self) -> None:
        check_positive(epochs=self.epochs, batch_size=self.batch_size)
        check_not_negative(patience=self.patience)
        check_fraction(dropout=self.dropout)

    def use(self, session: Session) -> None:
        """Takes where checkpoints belong, and whom to tell."""
        super().use(session)
        self._session = session

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        """Yields the likeliest labels with probabilities; no answer depends on the other dialogues."""
        network = self._learned()
        if dialogues:
            yield from self._answer(network, dialogues, *self.read_views(dialogues))

    def predict_epochs(self, dialogues: Sequence[DialogueView]) -> Iterator[tuple[int, list[list[Prediction]]]]:
        """Yields (epoch, predictions) for the weights after every epoch, where the session keeps them."""
        if self._session.checkpoints is not None and self._network is not None:
            network = self.new_network()
            items, parts = self.read_views(dialogues)
            for epoch in self._checkpoints().epochs(network):
                yield epoch, list(self._answer(network, dialogues, items, parts))

    def save(self, folder: Path) -> None:
        """Writes the weights, the labels, the settings, and what came of the training."""
        from safetensors.torch import save_model

        save_model(self._learned(), str(folder / WEIGHTS))
        settings = {"labels": self._labels, "training": self._training, **self.settings()}
        (folder / SETTINGS).write_text(json.dumps(settings) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote; raises StoreError where that cannot be read."""
        check_packages("torch", "safetensors")
        from safetensors.torch import load_model

        with reading_weights(folder):
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            self._labels, self._training = tuple(settings["labels"]), settings["training"]
            self.restore(settings, folder)
            self._network = self.new_network()
            load_model(self._network, folder / WEIGHTS)

    def facts(self) -> dict[str, Any]:
        """Returns what came of the training."""
        return {**super().facts(), **({"training": self._training} if self._training else {})}

    # Parts

    def _learned(self) -> "nn.Module":
        if self._network is None:
            raise PredictionError(f"{type(self).__name__} has learned nothing yet; call fit or load first")
        return self._network

    def _checkpoints(self) -> "Checkpoints":
        from baselines.neural.checkpoints import Checkpoints

        return Checkpoints(self._session.checkpoints)

    def _answer(
        self, network: "nn.Module", views: Sequence[DialogueView], items: list[Item], parts: Sequence[slice]
    ) -> Iterator[list[Prediction]]:
        from baselines.neural.training import one_thread, predict_items

        with nullcontext() if self.all_threads else one_thread():
            logits = predict_items(network, items, lambda batch: self.logits(network, batch), self.size)
        for view, part in zip(views, parts, strict=True):
            yield make_predictions(view, self.rows_of(view, items[part], logits[part]), self._labels)
