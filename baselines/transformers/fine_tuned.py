"""The base of systems that fine-tune a pretrained encoder on whole dialogues. Importing it loads no torch.

A system is a dataclass with its own settings, `read`, which says what of a dialogue is read, and `build`, the network.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from baselines.neural.numbering import labelled_dialogues, number_labels
from baselines.neural.outcome import check_packages, pick_device
from baselines.neural.trained import Logits, TrainedPredictor
from baselines.neural.views import join_beginnings
from baselines.transformers.encoders import (
    MINILM,
    Precision,
    describe_encoder,
    encoder_named,
    locate_encoder,
    usual_rate,
)
from baselines.transformers.passage import Passage
from harness.data import Split
from harness.errors import ConfigError, ModelError
from harness.features.loading import load_encoder
from harness.features.weights import Located, hub_access
from harness.predictors.checks import check_fraction, check_not_negative, check_positive
from harness.predictors.session import FitProgress
from harness.schema import DialogueView

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(eq=False)
class FineTunedTransformer(TrainedPredictor[Passage]):
    """An encoder and a head that learn together from labelled dialogues, and answer.

    AdamW with linear warm-up and decay; batches of passages of similar length; the epoch with the highest weighted F1
    on dev is kept. The encoder has the dropout of its own configuration.
    """

    encoder: str = MINILM
    """What is fine-tuned: minilm, a name at the hub, or a folder."""
    epochs: int = 5
    """The learning rate falls to 0 at the end of the last one."""
    patience: int = 0
    """Epochs without a better one on dev after which training stops; 0: never."""
    batch_size: int = 16
    """Passages."""
    learning_rate: float | None = None
    """At its peak; none: 8e-5 for minilm, 1e-5 for other encoders, as for features that are tuned."""
    warmup: float = 0.1
    """Share of the updates in which the learning rate rises from 0."""
    weight_decay: float = 0.01
    dropout: float = 0.1
    """In the head."""
    n_tokens: int = 512
    """Of a sequence, special ones included."""
    precision: Precision = "fp32"
    """In which it learns: bf16 takes half the time where processor or GPU have it. Answers are given in fp32."""

    all_threads: ClassVar[bool] = True
    causal: ClassVar[bool] = False
    """Whether one passage answers for a whole dialogue and no answer depends on later utterances; goes with context
    "past": a dialogue is then computed once, not once for each target."""
    max_norm: ClassVar[float] = 1.0
    """To which the gradient of all weights together is cut."""
    code_modules: ClassVar[tuple[str, ...]] = (
        *TrainedPredictor.code_modules,
        *(f"baselines.neural.{name}" for name in ("views", "numbering")),
        *(f"baselines.transformers.{name}" for name in ("encoders", "passage", "batches", "optimizing")),
        "harness.features.loading",
        "harness.features.tuned",
    )

    _tokenizer: Any = field(default=None, init=False, repr=False)

    # What a system says

    @abstractmethod
    def read(self, view: DialogueView, tokenizer: Any) -> Iterable[Passage]:
        """Returns what is read to answer for the targets of a view: passages whose `answers` hold each target once.

        A causal system answers for every utterance of the view, in one passage. Labels are not its business.
        """

    @abstractmethod
    def build(self, encoder: Any, tokenizer: Any, n_labels: int) -> "nn.Module":
        """Returns a new network around an encoder of transformers, which is on the CPU.

        Its `forward(passages: Sequence[Passage])` returns logits float32 (n_answers of all passages, n_labels), one
        passage after the other, on the device of its weights.
        """

    def prepare(self, network: "nn.Module", passages: Sequence[Passage]) -> None:
        """Teaches a new network something before it sees any label. Default: nothing.

        Args:
            network: before any training; random numbers are drawn from the seed.
            passages: of the training split.
        """

    def loss(self, network: "nn.Module", batch: Sequence[Passage], weights: "Tensor | None") -> "Tensor":
        """Returns what is minimised, a scalar: cross-entropy, averaged over labelled answers by their weights.

        Args:
            network: in training mode.
            batch: with labels.
            weights: of the labels, float32 (n_labels,); None: all equal.
        """
        import torch
        from torch.nn.functional import cross_entropy

        logits = network(batch)
        gold = torch.tensor([label for passage in batch for label in passage.labels], device=logits.device)
        return cross_entropy(logits[gold >= 0], gold[gold >= 0], weight=weights)

    def make_optimizer(self, network: "nn.Module", n_updates: int) -> "torch.optim.Optimizer":
        """Returns what makes the updates of the whole training."""
        from baselines.transformers.optimizing import make_adamw

        return make_adamw(network, self.peak_rate, self.weight_decay, n_updates, self.warmup)

    def load_base(self) -> tuple[Any, Any]:
        """Returns (tokenizer, encoder) as they were published, on the CPU in float32.

        Raises:
            ModelError: there are no weights, or they cannot be read; nothing is downloaded unless that is asked for.
            MissingDependencyError: a package is not installed.
        """
        where = self.locate_base()
        download = self._session.calls.download
        with hub_access(download):
            return load_encoder(where.source, where.commit, download)

    # What the harness asks of every predictor

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(learning_rate=self.peak_rate, n_tokens=self.n_tokens)
        check_fraction(warmup=self.warmup)
        check_not_negative(weight_decay=self.weight_decay)
        if self.n_tokens < 3:
            raise ConfigError(f"n_tokens {self.n_tokens!r}: expected 3 or more, two of which are special ones")
        if self.precision not in get_args(Precision):
            raise ConfigError(f"precision {self.precision!r}: expected {' or '.join(get_args(Precision))}")

    def fit(self, train: Split, dev: Split) -> None:
        """Fine-tunes, and keeps the weights of the epoch with the highest weighted F1 on dev.

        Raises:
            DataError: a split has no labelled utterance.
            ModelError: the encoder cannot be loaded, or the loss is not finite.
            MissingDependencyError: torch or transformers is not installed.
        """
        check_packages("torch", "transformers", "safetensors")
        self._labels = train.label_set.labels
        network = self.new_network()
        passages, dev_passages = self._read_split(train), self._read_split(dev)
        n_batches = -(-len(passages) // self.batch_size)
        with self.seeded():
            self.prepare(network, passages)
        optimizer = self.make_optimizer(network, self.epochs * n_batches)
        backward = self._backward(network, optimizer, passages, self.epochs * n_batches)
        self.learn(network, optimizer, passages, dev_passages, backward, steps=n_batches)

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote, over the encoder as it was published; raises StoreError, and as `load_base`."""
        check_packages("transformers")
        super().load(folder)

    def facts(self) -> dict[str, Any]:
        """Returns which weights the encoder begins with, and what came of the training; raises as `locate_base`."""
        return {"encoder": describe_encoder(self.locate_base()), **super().facts()}

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with name and content in the place of a path to an encoder."""
        return {**params, "encoder": encoder_named(params["encoder"])}

    @property
    def peak_rate(self) -> float:
        """Learning rate at its peak."""
        return usual_rate(self.encoder) if self.learning_rate is None else self.learning_rate

    def locate_base(self) -> Located:
        """Returns where the encoder lies; raises as `locate_encoder`."""
        return locate_encoder(self.encoder, download=self._session.calls.download)

    # What its family says

    def new_network(self) -> "nn.Module":
        """Returns a network around the encoder as it was published, whose tokenizer is kept."""
        with self.seeded():
            self._tokenizer, encoder = self.load_base()
            if self._tokenizer.cls_token_id is None or self._tokenizer.sep_token_id is None:
                raise ModelError(
                    f"encoder {self.encoder!r}: its tokenizer has no token to begin or to separate texts; "
                    "expected an encoder such as BERT, RoBERTa or XLNet"
                )
            longest = self._tokenizer.model_max_length
            if self.n_tokens > longest:
                raise ConfigError(f"n_tokens {self.n_tokens!r}: encoder {self.encoder!r} reads {longest} at most")
            return self.build(encoder, self._tokenizer, len(self._labels)).to(pick_device())

    def read_views(self, views: Sequence[DialogueView]) -> tuple[list[Passage], list[slice]]:
        """Returns the passages that answer for views, and which of them belong to each view."""
        whole, belongs = join_beginnings(views) if self.causal else (list(views), list(range(len(views))))
        read = [list(self.read(view, self._tokenizer)) for view in whole]
        parts = [slice(*ends) for ends in pairwise(accumulate(map(len, read), initial=0))]
        return [passage for own in read for passage in own], [parts[i] for i in belongs]

    def size(self, item: Passage) -> int:
        """Returns the number of tokens."""
        return item.n_tokens

    def gold(self, item: Passage) -> NDArray[np.int64]:
        """Returns a label for each answer."""
        return item.gold()

    def logits(self, network: "nn.Module", items: Sequence[Passage]) -> list[Logits]:
        """Returns logits of each answer of each passage, computed in portions."""
        from baselines.transformers.batches import portions

        rows = np.concatenate([network(portion).float().cpu().numpy() for portion in portions(items)])
        ends = accumulate((len(passage.answers) for passage in items), initial=0)
        return [rows[start:end] for start, end in pairwise(ends)]

    def rows_of(self, view: DialogueView, items: Sequence[Passage], logits: Sequence[Logits]) -> Logits:
        """Returns those at the positions of the targets."""
        rows = {
            position: row
            for passage, own in zip(items, logits, strict=True)
            for position, row in zip(passage.answers, own, strict=True)
        }
        return np.stack([rows[position] for position in view.target_positions])

    # Parts

    def _backward(
        self, network: "nn.Module", optimizer: "torch.optim.Optimizer", passages: Sequence[Passage], n_updates: int
    ) -> Callable[[Sequence[Passage]], float]:
        """Returns what computes the gradients of a batch; labels weigh by their counts in all training passages."""
        from torch.nn.utils import clip_grad_norm_

        from baselines.transformers.optimizing import computing_in, updates_made

        weights = self.label_weights(passages)

        def backward(batch: Sequence[Passage]) -> float:
            network.zero_grad()
            with computing_in(self.precision, network):
                loss = self.loss(network, batch, weights)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(network.parameters(), self.max_norm)
            value = float(loss.detach())
            self._session.report(FitProgress(updates_made(optimizer), n_updates, f"fine-tuning, loss {value:.3f}"))
            return value

        return backward

    def _read_split(self, split: Split) -> list[Passage]:
        """Returns the passages of a split that answer for a labelled utterance, with labels."""
        dialogues = labelled_dialogues(split)
        views = [next(d.views("full", split.label_set)) for d in dialogues]
        return [
            replace(passage, labels=tuple(labels[i] for i in passage.answers))
            for view, labels in zip(views, number_labels(dialogues, split.label_set), strict=True)
            for passage in self.read(view, self._tokenizer)
        ]
