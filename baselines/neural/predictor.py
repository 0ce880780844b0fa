"""The base of systems that map the utterance features of whole dialogues to labels. Importing it loads no torch.

A system is a dataclass with its own settings and `build`; see CONTRIBUTING.md, "Adding a neural system".
"""

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from baselines.neural.numbering import (
    NumberedDialogue,
    Scales,
    measure_scales,
    number_dialogues,
    number_labels,
)
from baselines.neural.outcome import (
    check_packages,
    describe_epoch,
    make_predictions,
    pick_device,
    reading_weights,
    summarise_training,
)
from baselines.neural.views import join_beginnings
from harness.data import Split
from harness.errors import ConfigError, DataError, PredictionError
from harness.predictors.featured import FeaturePredictor, Stream, check_fraction, check_positive
from harness.predictors.session import FitProgress
from harness.schema import DialogueView, Prediction

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from baselines.neural.batch import DialogueBatch
    from baselines.neural.checkpoints import Checkpoints, Progress
    from baselines.neural.training import Plan, Task

WEIGHTS, SCALES, SETTINGS = "weights.safetensors", "scales.safetensors", "settings.json"


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a network is built for."""

    widths: Mapping[Stream, int]
    """Width of the features by kind."""
    n_labels: int
    n_speakers: int
    """Largest number of speakers in a training dialogue; others may have more."""

    @property
    def text(self) -> int:
        """Width of the text features."""
        return self.widths["text"]


@dataclass(eq=False)
class NeuralPredictor(FeaturePredictor):
    """A network over padded batches of dialogues, its training, and its predictions.

    Networks read standardised features: mean 0 and standard deviation 1 in the training split. Encoders differ in scale
    by orders of magnitude, unit vectors most of all, and no learning rate would suit them all.
    """

    epochs: int = 60
    """At most; the one with the highest weighted F1 on dev is kept."""
    patience: int = 20
    """Epochs without a better one after which training stops; 0: never."""
    batch_size: int = 32
    """Dialogues."""
    learning_rate: float = 1e-3
    l2: float = 0.0
    """Added to the gradient as l2 * weight."""
    dropout: float = 0.25
    class_weights: Literal["none", "train"] = "none"
    """Whether rare labels weigh more in the loss, in inverse proportion to their training counts."""

    causal: ClassVar[bool] = False
    """Whether no state depends on later utterances; goes with context "past" on the card, and is tried out by `fit`."""
    max_norm: ClassVar[float | None] = None
    """To which the gradient of all weights together is cut; None: it is not."""
    code_modules: ClassVar[tuple[str, ...]] = (
        *FeaturePredictor.code_modules,
        *(
            f"baselines.neural.{name}"
            for name in ("batch", "layers", "numbering", "training", "checkpoints", "views", "outcome")
        ),
        "harness.features.grouping",
    )

    _labels: tuple[str, ...] = field(default=(), init=False, repr=False)
    _scales: Scales = field(default_factory=dict, init=False, repr=False)
    """Of the training split."""
    _dimensions: Dimensions | None = field(default=None, init=False, repr=False)
    _network: "nn.Module | None" = field(default=None, init=False, repr=False)
    _training: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    # What a system says

    @abstractmethod
    def build(self, dimensions: Dimensions) -> "nn.Module":
        """Returns a new network, whose `forward(batch: DialogueBatch)` returns logits.

        They are float32 (batch, n_utterances, n_labels); what stands where padded is never read.
        """

    def loss(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> "Tensor":
        """Returns what is minimised, a scalar: cross-entropy, averaged over labelled utterances by their weights.

        Args:
            network: in training mode.
            batch: with labels.
            weights: of the labels, float32 (n_labels,); None: all equal.
        """
        from torch.nn.functional import cross_entropy

        known = batch.labels >= 0
        return cross_entropy(network(batch)[known], batch.labels[known], weight=weights)

    def backward(self, network: "nn.Module", batch: "DialogueBatch", weights: "Tensor | None") -> float:
        """Adds the gradients of a batch to those of the network, which are 0, and returns the loss."""
        loss = self.loss(network, batch, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def make_optimizer(self, network: "nn.Module") -> "torch.optim.Optimizer":
        """Returns what makes the updates: Adam."""
        import torch

        return torch.optim.Adam(network.parameters(), lr=self.learning_rate, weight_decay=self.l2)

    # What the harness asks of every predictor

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate)
        check_fraction(dropout=self.dropout)
        if self.patience < 0 or not self.l2 >= 0:
            raise ConfigError(f"patience {self.patience!r}, l2 {self.l2!r}: expected 0 or more of each")

    def fit(self, train: Split, dev: Split) -> None:
        """Trains, and keeps the weights of the epoch with the highest weighted F1 on dev.

        Raises:
            DataError: features are missing, of another shape or not finite, or a split has no labelled dialogue.
            ModelError: an encoder cannot be loaded, or the loss is not finite.
            MissingDependencyError: torch is not installed.
            PredictionError: the system is declared causal and looks ahead.
        """
        check_packages("torch", "safetensors")
        from baselines.neural.training import Plan
        from baselines.neural.training import train as train_network

        self.learn_from(train, dev)
        self._labels = train.label_set.labels
        self._scales = measure_scales(self.rows([u.view() for u in train.utterances()], train.name))
        items, dev_items = self._number_split(train), self._number_split(dev)
        self._dimensions = Dimensions(
            {stream: rows.shape[1] for stream, rows in items[0].features.items()}, len(self._labels),
            max(int(item.speakers.max()) + 1 for item in items),
        )  # fmt: skip
        network = self._network = self._new_network()
        if self.causal:
            self._check_causal(max(items, key=len))
        plan = Plan(self.epochs, self.batch_size, self.patience, self.seed)
        progress = train_network(self._task(network, items, dev_items), plan, self._checkpoints(), self._tell_epoch)
        self._training = summarise_training(network, progress, self._device)

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        """Yields the likeliest labels with probabilities; no answer depends on the other dialogues."""
        if self._network is None:
            raise PredictionError(f"{type(self).__name__} has learned nothing yet; call fit or load first")
        yield from self._answer(self._network, dialogues)

    def predict_epochs(self, dialogues: Sequence[DialogueView]) -> Iterator[tuple[int, list[list[Prediction]]]]:
        """Yields (epoch, predictions) for the weights after every epoch, where the session keeps them."""
        if self._session.checkpoints is not None and self._dimensions is not None:
            network = self._new_network()
            numbered = self._number_views(dialogues)
            for epoch in self._checkpoints().epochs(network):
                yield epoch, list(self._answer(network, dialogues, numbered))

    def save(self, folder: Path) -> None:
        """Writes weights, scales of the features, and labels, dimensions and what came of the training."""
        from safetensors.numpy import save_file as save_arrays
        from safetensors.torch import save_model

        if self._network is None or self._dimensions is None:
            raise PredictionError(f"{type(self).__name__} has learned nothing yet; call fit or load first")
        save_model(self._network, str(folder / WEIGHTS))
        save_arrays(self._scales, folder / SCALES)
        settings = {"labels": self._labels, "dimensions": asdict(self._dimensions), "training": self._training}
        (folder / SETTINGS).write_text(json.dumps(settings) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote; raises StoreError where that cannot be read."""
        check_packages("torch", "safetensors")
        from safetensors.numpy import load_file as load_arrays
        from safetensors.torch import load_model

        with reading_weights(folder):
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            self._labels, self._training = tuple(settings["labels"]), settings["training"]
            self._scales = load_arrays(folder / SCALES)
            self._dimensions = Dimensions(**settings["dimensions"])
            self._network = self._new_network()
            load_model(self._network, folder / WEIGHTS)
        for stream in self.stream_encoders():
            self.features(stream)  # the facts tell of them, even if nothing is left to predict

    def facts(self) -> dict[str, Any]:
        """Returns the features that were read, and what came of the training."""
        return super().facts() | ({"training": self._training} if self._training else {})

    # Parts

    @property
    def _device(self) -> str:
        return pick_device()

    def _new_network(self) -> "nn.Module":
        """Returns a network with weights drawn from the seed, on its device."""
        import torch

        assert self._dimensions is not None
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return self.build(self._dimensions).to(self._device)

    def _checkpoints(self) -> "Checkpoints":
        from baselines.neural.checkpoints import Checkpoints

        return Checkpoints(self._session.checkpoints)

    def _task(
        self, network: "nn.Module", items: list[NumberedDialogue], dev: list[NumberedDialogue]
    ) -> "Task[NumberedDialogue]":
        from torch.nn.utils import clip_grad_norm_

        from baselines.neural.batch import make_batch
        from baselines.neural.training import Task, class_weights

        weights = None
        if self.class_weights == "train":
            weights = class_weights([item.labels for item in items], len(self._labels)).to(self._device)

        def backward(batch: Sequence[NumberedDialogue]) -> float:
            network.zero_grad()
            loss = self.backward(network, make_batch(batch, self._device), weights)
            if self.max_norm is not None:
                clip_grad_norm_(network.parameters(), self.max_norm)
            return loss

        return Task(
            network, self.make_optimizer(network), items, dev, len, backward,
            lambda batch: self._logits(network, batch), lambda item: item.labels, len(self._labels),
        )  # fmt: skip

    def _logits(self, network: "nn.Module", items: Sequence[NumberedDialogue]) -> list[Any]:
        """Returns logits float32 (n_utterances, n_labels) of each dialogue of a batch."""
        from baselines.neural.batch import make_batch

        logits = network(make_batch(items, self._device)).cpu().numpy()
        return [own[: len(item)] for own, item in zip(logits, items, strict=True)]

    def _number_split(self, split: Split) -> list[NumberedDialogue]:
        """Returns the dialogues of a split that have a label, as arrays."""
        dialogues = [d for d in split.dialogues if d.labelled()]
        if not dialogues:
            raise DataError(f"{split.dataset}, split {split.name!r}: no utterance has a label; expected some")
        views = [[u.view() for u in d.utterances] for d in dialogues]
        rows = self.rows([u for utterances in views for u in utterances], split.name)
        return number_dialogues(views, rows, self._scales, number_labels(dialogues, split.label_set))

    def _number_views(self, views: Sequence[DialogueView]) -> tuple[list[NumberedDialogue], list[int]]:
        """Returns the dialogues to compute, and which of them answers for each view."""
        whole, belongs = join_beginnings(views) if self.causal else (list(views), list(range(len(views))))
        rows = self.rows([u for view in whole for u in view.utterances])
        return number_dialogues([view.utterances for view in whole], rows, self._scales), belongs

    def _answer(
        self, network: "nn.Module", views: Sequence[DialogueView], numbered: Any = None
    ) -> Iterator[list[Prediction]]:
        from baselines.neural.training import one_thread, predict_items

        if not views:
            return
        items, belongs = numbered or self._number_views(views)
        with one_thread():
            answers = predict_items(network, items, lambda batch: self._logits(network, batch), len)
        for view, number in zip(views, belongs, strict=True):
            yield make_predictions(view, answers[number][list(view.target_positions)], self._labels)

    def _check_causal(self, item: NumberedDialogue) -> None:
        """Checks that the first half of a dialogue is answered alike whatever its second half is."""
        from baselines.neural.training import predict_items

        network = self._network
        assert network is not None
        half = item.beginning((len(item) + 1) // 2)
        alone, whole = (
            predict_items(network, [one], lambda batch: self._logits(network, batch), len)[0] for one in (half, item)
        )
        if not np.allclose(alone, whole[: len(half)], atol=1e-4):
            raise PredictionError(
                f"{type(self).__name__} is declared causal, but its answers depend on what comes later"
            )

    def _tell_epoch(self, progress: "Progress", plan: "Plan") -> None:
        self._session.report(FitProgress(progress.epoch, plan.epochs, describe_epoch(progress)))
