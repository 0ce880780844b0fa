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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.neural.numbering import NO_LABEL
from baselines.neural.outcome import check_packages, pick_device
from baselines.neural.trained import Logits, TrainedPredictor
from baselines.utterance.words import Vocabulary, WordVectors, repeated_words
from harness.data import Split
from harness.features.weights import content_name
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_not_negative, check_positive
from harness.schema import DialogueView

if TYPE_CHECKING:
    from torch import nn

    from baselines.utterance.text_cnn_network import TextCnnNetwork


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
class TextCnn(TrainedPredictor[NumberedUtterance]):
    """Reads the words of the utterance alone."""

    word_vectors: str | None = None
    """GloVe text file of frozen vectors; None: vectors are learned from train."""
    width: int = 100
    """Of learned word vectors; a file has its own."""
    epochs: int = 20
    patience: int = 5
    batch_size: int = 64
    """Utterances."""
    learning_rate: float = 1e-3
    l2: float = 0.0
    """Added to the gradient as l2 * weight."""
    dropout: float = 0.5

    maps: ClassVar[int] = 50
    """Filters of each length."""
    hidden: ClassVar[int] = 100
    code_modules: ClassVar[tuple[str, ...]] = (
        *TrainedPredictor.code_modules,
        "baselines.neural.numbering",
        *(f"baselines.utterance.{name}" for name in ("words", "text_cnn_network")),
    )

    _vocabulary: Vocabulary = field(default=Vocabulary(()), init=False, repr=False)
    _width: int = field(default=0, init=False, repr=False)
    """Of the word vectors, whether learned or given."""
    _vectors: NDArray[np.float32] | None = field(default=None, init=False, repr=False)
    """float32 (n_numbers, width), of a file; None where vectors are learned, and after `load`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(width=self.width, learning_rate=self.learning_rate)
        check_not_negative(l2=self.l2)

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
        import torch

        self._labels = train.label_set.labels
        texts = [u.text for u in train.utterances()]
        if self.word_vectors is None:
            self._vocabulary, self._vectors, self._width = repeated_words(texts), None, self.width
        else:
            self._vocabulary, self._vectors = WordVectors(self.word_vectors).vectors_of(texts)
            self._width = self._vectors.shape[1]
        network = self.new_network()
        learning = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(learning, lr=self.learning_rate, weight_decay=self.l2)
        items = self._number_split(train)
        self.learn(network, optimizer, items, self._number_split(dev), self._backward(network, items))
        self._training |= {"n_parameters": sum(map(torch.numel, learning)), "n_words": len(self._vocabulary.words)}

    # What its family says

    def new_network(self) -> "TextCnnNetwork":
        """Returns a network for the vocabulary; word vectors are those of the file."""
        import torch

        from baselines.utterance.text_cnn_network import TextCnnNetwork

        with self.seeded():
            network = TextCnnNetwork(
                len(self._vocabulary), self._width, self.maps, self.hidden, len(self._labels), self.dropout,
                frozen=self.word_vectors is not None,
            )  # fmt: skip
        if self._vectors is not None:
            network.words.weight.data.copy_(torch.from_numpy(self._vectors))
        return network.to(pick_device())

    def read_views(self, views: Sequence[DialogueView]) -> tuple[list[NumberedUtterance], list[slice]]:
        """Returns the targets of all views, and which of them belong to each view."""
        items = [NumberedUtterance(self._vocabulary.number(u.text), NO_LABEL) for view in views for u in view.targets]
        ends = accumulate((len(view.targets) for view in views), initial=0)
        return items, [slice(*own) for own in pairwise(ends)]

    def size(self, item: NumberedUtterance) -> int:
        """Returns the number of words."""
        return len(item)

    def gold(self, item: NumberedUtterance) -> NDArray[np.int64]:
        """Returns the label of the utterance."""
        return np.array([item.label])

    def logits(self, network: "nn.Module", items: Sequence[NumberedUtterance]) -> list[Logits]:
        """Returns one row for each utterance."""
        from baselines.utterance.text_cnn_network import pad_words

        return list(network(*pad_words([one.words for one in items], pick_device())).cpu().numpy()[:, None])

    def rows_of(self, view: DialogueView, items: Sequence[NumberedUtterance], logits: Sequence[Logits]) -> Logits:
        """Returns one row after the other."""
        return np.concatenate(logits)

    def settings(self) -> dict[str, Any]:
        """Returns the words that are known, and the width of their vectors."""
        return {"words": self._vocabulary.words, "width": self._width}

    def restore(self, settings: dict[str, Any], folder: Path) -> None:
        """Takes back the words; their vectors are among the weights, and the file of them is not needed."""
        self._vocabulary, self._width = Vocabulary(tuple(settings["words"])), settings["width"]

    # Parts

    def _backward(
        self, network: "TextCnnNetwork", items: Sequence[NumberedUtterance]
    ) -> Callable[[Sequence[NumberedUtterance]], float]:
        """Returns what computes the gradients of a batch; labels weigh by their counts in all training items."""
        import torch
        from torch.nn.functional import cross_entropy

        from baselines.utterance.text_cnn_network import pad_words

        weights = self.label_weights(items)

        def backward(batch: Sequence[NumberedUtterance]) -> float:
            network.zero_grad()
            logits = network(*pad_words([one.words for one in batch], pick_device()))
            gold = torch.tensor([one.label for one in batch], device=logits.device)
            loss = cross_entropy(logits, gold, weight=weights)
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        return backward

    def _number_split(self, split: Split) -> list[NumberedUtterance]:
        """Returns the labelled utterances of a split as numbers."""
        return [
            NumberedUtterance(self._vocabulary.number(u.text), split.label_set.index(u.label))
            for u in split.utterances()
            if u.label is not None
        ]
