"""The base of systems that map the utterance features of whole dialogues to labels. Importing it loads no torch.

A system is a dataclass with its own settings and `build`; see CONTRIBUTING.md, "Adding a neural system".
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.neural.numbering import (
    NumberedDialogue,
    Scales,
    labelled_dialogues,
    measure_scales,
    number_dialogues,
    number_labels,
)
from baselines.neural.outcome import check_packages, pick_device
from baselines.neural.trained import Logits, TrainedPredictor
from baselines.neural.views import join_beginnings
from harness.data import Split
from harness.errors import PredictionError
from harness.predictors.checks import check_not_negative, check_positive
from harness.predictors.featured import FeaturePredictor, Stream
from harness.schema import DialogueView

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from baselines.neural.batch import DialogueBatch

SCALES = "scales.safetensors"


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
class NeuralPredictor(TrainedPredictor[NumberedDialogue], FeaturePredictor):
    """A network over padded batches of dialogues.

    Networks read standardised features: mean 0 and standard deviation 1 in the training split. Encoders differ in scale
    by orders of magnitude, unit vectors most of all, and no learning rate would suit them all.
    """

    batch_size: int = 32
    """Dialogues."""
    learning_rate: float = 1e-3
    l2: float = 0.0
    """Added to the gradient as l2 * weight."""

    causal: ClassVar[bool] = False
    """Whether no state depends on later utterances; goes with context "past" on the card, and is tried out by `fit`."""
    max_norm: ClassVar[float | None] = None
    """To which the gradient of all weights together is cut; None: it is not."""
    code_modules: ClassVar[tuple[str, ...]] = (
        *FeaturePredictor.code_modules,
        *TrainedPredictor.code_modules,
        *(f"baselines.neural.{name}" for name in ("batch", "layers", "numbering", "views")),
    )

    _scales: Scales = field(default_factory=dict, init=False, repr=False)
    """Of the training split."""
    _dimensions: Dimensions | None = field(default=None, init=False, repr=False)

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
        TrainedPredictor.__post_init__(self)
        FeaturePredictor.__post_init__(self)
        check_positive(learning_rate=self.learning_rate)
        check_not_negative(l2=self.l2)

    def fit(self, train: Split, dev: Split) -> None:
        """Trains, and keeps the weights of the epoch with the highest weighted F1 on dev.

        Raises:
            DataError: features are missing, of another shape or not finite, or a split has no labelled dialogue.
            ModelError: an encoder cannot be loaded, or the loss is not finite.
            MissingDependencyError: torch is not installed.
            PredictionError: the system is declared causal and looks ahead.
        """
        check_packages("torch", "safetensors")
        self.learn_from(train, dev)
        self._labels = train.label_set.labels
        self._scales = measure_scales(self.rows([u.view() for u in train.utterances()], train.name))
        items, dev_items = self._number_split(train), self._number_split(dev)
        self._dimensions = Dimensions(
            {stream: rows.shape[1] for stream, rows in items[0].features.items()}, len(self._labels),
            max(int(item.speakers.max()) + 1 for item in items),
        )  # fmt: skip
        network = self.new_network()
        if self.causal:
            self._check_causal(network, max(items, key=len))
        self.learn(network, self.make_optimizer(network), items, dev_items, self._backward(network, items))

    def save(self, folder: Path) -> None:
        """Writes the scales of the features, beside what every system writes."""
        from safetensors.numpy import save_file

        super().save(folder)
        save_file(self._scales, folder / SCALES)

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote; raises StoreError where that cannot be read."""
        super().load(folder)
        for stream in self.stream_encoders():
            self.features(stream)  # the facts tell of them, even if nothing is left to predict

    # What its family says

    def new_network(self) -> "nn.Module":
        """Returns a network for the dimensions of the training split."""
        assert self._dimensions is not None
        with self.seeded():
            return self.build(self._dimensions).to(pick_device())

    def read_views(self, views: Sequence[DialogueView]) -> tuple[list[NumberedDialogue], list[slice]]:
        """Returns the dialogues to compute, and which of them answers for each view."""
        whole, belongs = join_beginnings(views) if self.causal else (list(views), list(range(len(views))))
        rows = self.rows([u for view in whole for u in view.utterances])
        numbered = number_dialogues([view.utterances for view in whole], rows, self._scales)
        return numbered, [slice(i, i + 1) for i in belongs]

    def size(self, item: NumberedDialogue) -> int:
        """Returns the number of utterances."""
        return len(item)

    def gold(self, item: NumberedDialogue) -> NDArray[np.int64]:
        """Returns a label for each utterance."""
        return item.labels

    def logits(self, network: "nn.Module", items: Sequence[NumberedDialogue]) -> list[Logits]:
        """Returns logits of each utterance of each dialogue."""
        from baselines.neural.batch import make_batch

        logits = network(make_batch(items, pick_device())).cpu().numpy()
        return [own[: len(item)] for own, item in zip(logits, items, strict=True)]

    def rows_of(self, view: DialogueView, items: Sequence[NumberedDialogue], logits: Sequence[Logits]) -> Logits:
        """Returns those of the targets."""
        return logits[0][list(view.target_positions)]

    def settings(self) -> dict[str, Any]:
        """Returns the dimensions."""
        assert self._dimensions is not None
        return {"dimensions": asdict(self._dimensions)}

    def restore(self, settings: dict[str, Any], folder: Path) -> None:
        """Takes back dimensions, and scales of the features."""
        from safetensors.numpy import load_file

        self._dimensions = Dimensions(**settings["dimensions"])
        self._scales = load_file(folder / SCALES)

    # Parts

    def _backward(
        self, network: "nn.Module", items: Sequence[NumberedDialogue]
    ) -> Callable[[Sequence[NumberedDialogue]], float]:
        """Returns what computes the gradients of a batch; labels weigh by their counts in all training items."""
        from torch.nn.utils import clip_grad_norm_

        from baselines.neural.batch import make_batch

        weights = self.label_weights(items)

        def backward(batch: Sequence[NumberedDialogue]) -> float:
            network.zero_grad()
            loss = self.backward(network, make_batch(batch, pick_device()), weights)
            if self.max_norm is not None:
                clip_grad_norm_(network.parameters(), self.max_norm)
            return loss

        return backward

    def _number_split(self, split: Split) -> list[NumberedDialogue]:
        """Returns the dialogues of a split that have a label, as arrays."""
        dialogues = labelled_dialogues(split)
        views = [[u.view() for u in d.utterances] for d in dialogues]
        rows = self.rows([u for utterances in views for u in utterances], split.name)
        return number_dialogues(views, rows, self._scales, number_labels(dialogues, split.label_set))

    def _check_causal(self, network: "nn.Module", item: NumberedDialogue) -> None:
        """Checks that the first half of a dialogue is answered alike whatever its second half is."""
        from baselines.neural.training import predict_items

        half = item.beginning((len(item) + 1) // 2)
        alone, whole = (
            predict_items(network, [one], lambda batch: self.logits(network, batch), self.size)[0]
            for one in (half, item)
        )
        if not np.allclose(alone, whole[: len(half)], atol=1e-4):
            raise PredictionError(
                f"{type(self).__name__} is declared causal, but its answers depend on what comes later"
            )
