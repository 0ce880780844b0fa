"""TextCNN: filters over the words of one utterance, and nothing around it.

    f_k = max_t ReLU(W_k [w_t .. w_t+k-1] + b_k),  k = 3, 4, 5        h = ReLU(W_h [f_3; f_4; f_5] + b_h)
    y = softmax(W_y h + b_y)

with 50 filters of each length, h 100 wide, and dropout before W_h and W_y. Word vectors are GloVe's, frozen, where a
file of them is given; without one they are learned with the rest from the training split, and the card says so.

Source: Kim 2014, "Convolutional Neural Networks for Sentence Classification", section 2; sizes as the class of that
name in declare-lab/conv-emotion. Knowingly different: utterances are padded to the longest filter, and no window
reaches further; words of the file that train lacks are unknown; the epoch is chosen on dev; without GloVe the word
vectors are learned. Learning rate, dropout and the width of learned vectors were chosen on MELD's dev split.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

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
from baselines.utterance.words import Vocabulary, WordVectors, repeated_words
from harness.data import Split
from harness.errors import ConfigError, PredictionError
from harness.features.weights import content_name
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.predictors.featured import check_fraction, check_positive
from harness.predictors.session import FitProgress, Session
from harness.schema import DialogueView, Prediction

if TYPE_CHECKING:
    from baselines.neural.checkpoints import Checkpoints, Progress
    from baselines.neural.training import Plan, Task
    from baselines.utterance.text_cnn_network import TextCnnNetwork

WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"


@dataclass(frozen=True, slots=True)
class NumberedUtterance:
    """One utterance as numbers."""

    words: NDArray[np.int64]
    """int64 (n_words,), see `Vocabulary`."""
    label: int
    """Id of the label; -1: none."""

    def __len__(self) -> int:
        return len(self.words)


@register_predictor(
    "textcnn",
    card=PredictorCard(
        family="utterance",
        context="none",
        trained_on=("train",),
        source="Kim 2014; declare-lab/conv-emotion",
        summary="Convolutions over the words of the utterance, with learned or GloVe vectors.",
    ),
)
@dataclass(eq=False)
class TextCnn(Predictor):
    """Reads the words of the utterance alone."""

    word_vectors: str | None = None
    """GloVe text file of frozen vectors; None: vectors are learned from train."""
    width: int = 100
    """Of learned word vectors; a file has its own."""
    epochs: int = 20
    """At most; the one with the highest weighted F1 on dev is kept."""
    patience: int = 5
    """Epochs without a better one after which training stops; 0: never."""
    batch_size: int = 64
    """Utterances."""
    learning_rate: float = 1e-3
    l2: float = 0.0
    """Added to the gradient as l2 * weight."""
    dropout: float = 0.5
    seed: int = 0

    maps: ClassVar[int] = 50
    """Filters of each length."""
    hidden: ClassVar[int] = 100
    code_modules: ClassVar[tuple[str, ...]] = (
        "baselines.utterance.words", "baselines.utterance.text_cnn_network",
        "baselines.neural.training", "baselines.neural.checkpoints", "baselines.neural.outcome",
    )  # fmt: skip

    _session: Session = field(default_factory=Session, init=False, repr=False)
    _labels: tuple[str, ...] = field(default=(), init=False, repr=False)
    _vocabulary: Vocabulary = field(default=Vocabulary(()), init=False, repr=False)
    _vectors: NDArray[np.float32] | None = field(default=None, init=False, repr=False)
    """float32 (n_numbers, width), of a file; None where vectors are learned, and after `load`."""
    _network: "TextCnnNetwork | None" = field(default=None, init=False, repr=False)
    _training: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive(
            width=self.width, epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate
        )
        check_fraction(dropout=self.dropout)
        if self.patience < 0 or not self.l2 >= 0:
            raise ConfigError(f"patience {self.patience!r}, l2 {self.l2!r}: expected 0 or more of each")

    def use(self, session: Session) -> None:
        """Takes whom to tell, and where checkpoints go."""
        self._session = session

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with name and content in the place of the path to word vectors."""
        given = params.get("word_vectors")
        return dict(params) | ({"word_vectors": content_name(Path(given))} if given else {})

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card with the kind of word vectors."""
        return replace(
            card, features=("text: glove, frozen" if params.get("word_vectors") else "text: words, learned",)
        )

    def fit(self, train: Split, dev: Split) -> None:
        """Trains, and keeps the weights of the epoch with the highest weighted F1 on dev.

        Raises:
            ModelError: there is no file of word vectors, or the loss is not finite.
            DataError: the file is no GloVe text file, or has no word of the training split.
            MissingDependencyError: torch is not installed.
        """
        check_packages("torch", "safetensors")
        from baselines.neural.training import Plan
        from baselines.neural.training import train as train_network

        self._labels = train.label_set.labels
        texts = [u.text for u in train.utterances()]
        if self.word_vectors is None:
            self._vocabulary, self._vectors = repeated_words(texts), None
        else:
            self._vocabulary, self._vectors = WordVectors(self.word_vectors).vectors_of(texts)
        network = self._network = self._new_network(self.width if self._vectors is None else self._vectors.shape[1])
        plan = Plan(self.epochs, self.batch_size, self.patience, self.seed)
        task = self._task(network, self._number_split(train), self._number_split(dev))
        progress = train_network(task, plan, self._checkpoints(), self._tell_epoch)
        self._training = summarise_training(network, progress, pick_device()) | {
            "n_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
            "n_words": len(self._vocabulary.words),
        }

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        """Yields the likeliest labels with probabilities; no answer depends on the other views."""
        if self._network is None:
            raise PredictionError("textcnn has learned nothing yet; call fit or load first")
        yield from self._answer(self._network, dialogues)

    def predict_epochs(self, dialogues: Sequence[DialogueView]) -> Iterator[tuple[int, list[list[Prediction]]]]:
        """Yields (epoch, predictions) for the weights after every epoch, where the session keeps them."""
        if self._session.checkpoints is not None and self._network is not None:
            network = self._new_network(self._network.words.embedding_dim)
            for epoch in self._checkpoints().epochs(network):
                yield epoch, list(self._answer(network, dialogues))

    def save(self, folder: Path) -> None:
        """Writes weights, word vectors among them, and words, labels and what came of the training."""
        from safetensors.torch import save_model

        if self._network is None:
            raise PredictionError(f"{type(self).__name__} has learned nothing yet; call fit or load first")
        save_model(self._network, str(folder / WEIGHTS))
        settings = {
            "labels": self._labels, "words": self._vocabulary.words, "width": self._network.words.embedding_dim,
            "training": self._training,
        }  # fmt: skip
        (folder / SETTINGS).write_text(json.dumps(settings) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote; the file of word vectors is not needed."""
        check_packages("torch", "safetensors")
        from safetensors.torch import load_model

        with reading_weights(folder):
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            self._labels, self._training = tuple(settings["labels"]), settings["training"]
            self._vocabulary = Vocabulary(tuple(settings["words"]))
            self._network = self._new_network(settings["width"])
            load_model(self._network, folder / WEIGHTS)

    def facts(self) -> dict[str, Any]:
        """Returns what came of the training."""
        return {"training": self._training} if self._training else {}

    # Parts

    def _new_network(self, width: int) -> "TextCnnNetwork":
        """Returns a network with weights drawn from the seed, on its device; word vectors are those of the file."""
        import torch

        from baselines.utterance.text_cnn_network import TextCnnNetwork

        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = TextCnnNetwork(
                len(self._vocabulary), width, self.maps, self.hidden, len(self._labels), self.dropout,
                frozen=self.word_vectors is not None,
            )  # fmt: skip
        if self._vectors is not None:
            network.words.weight.data.copy_(torch.from_numpy(self._vectors))
        return network.to(pick_device())

    def _checkpoints(self) -> "Checkpoints":
        from baselines.neural.checkpoints import Checkpoints

        return Checkpoints(self._session.checkpoints)

    def _task(
        self, network: "TextCnnNetwork", train: list[NumberedUtterance], dev: list[NumberedUtterance]
    ) -> "Task[NumberedUtterance]":
        import torch
        from torch.nn.functional import cross_entropy

        from baselines.neural.training import Task
        from baselines.utterance.text_cnn_network import pad_words

        def backward(batch: Sequence[NumberedUtterance]) -> float:
            network.zero_grad()
            logits = network(*pad_words([one.words for one in batch], pick_device()))
            loss = cross_entropy(logits, torch.tensor([one.label for one in batch], device=logits.device))
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        learning = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(learning, lr=self.learning_rate, weight_decay=self.l2)
        return Task(
            network, optimizer, train, dev, len, backward, lambda batch: self._logits(network, batch),
            lambda one: np.array([one.label]), len(self._labels),
        )  # fmt: skip

    def _logits(self, network: "TextCnnNetwork", batch: Sequence[NumberedUtterance]) -> list[NDArray[np.float32]]:
        """Returns logits float32 (1, n_labels) of each utterance."""
        from baselines.utterance.text_cnn_network import pad_words

        return list(network(*pad_words([one.words for one in batch], pick_device())).cpu().numpy()[:, None])

    def _number_split(self, split: Split) -> list[NumberedUtterance]:
        """Returns the labelled utterances of a split as numbers."""
        return [
            NumberedUtterance(self._vocabulary.number(u.text), split.label_set.index(u.label))
            for u in split.utterances()
            if u.label is not None
        ]

    def _answer(self, network: "TextCnnNetwork", views: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        from baselines.neural.training import one_thread, predict_items

        items = [NumberedUtterance(self._vocabulary.number(u.text), -1) for view in views for u in view.targets]
        with one_thread():
            answers = iter(predict_items(network, items, lambda batch: self._logits(network, batch), len))
        for view in views:
            logits = np.concatenate([next(answers) for _ in view.targets])
            yield make_predictions(view, logits, self._labels)

    def _tell_epoch(self, progress: "Progress", plan: "Plan") -> None:
        self._session.report(FitProgress(progress.epoch, plan.epochs, describe_epoch(progress)))
