"""The base of systems that fine-tune a pretrained encoder on whole dialogues. Importing it loads no torch.

A system is a dataclass with its own settings, `read`, which says what of a dialogue is read, and `build`, the network.
"""

import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from baselines.neural.numbering import number_labels
from baselines.neural.outcome import (
    check_packages,
    describe_epoch,
    make_predictions,
    pick_device,
    reading_weights,
    summarise_training,
)
from baselines.neural.views import join_beginnings
from baselines.transformers.passage import Passage
from harness.data import Split
from harness.errors import ConfigError, DataError, ModelError, PredictionError
from harness.features.loading import load_encoder
from harness.features.pretrained import Pretrained
from harness.features.text import TextEncoder, minilm_folder
from harness.features.tuned import LARGE, SMALL
from harness.features.weights import Located, hub_access, locate
from harness.predictors import Predictor
from harness.predictors.featured import check_fraction, check_positive
from harness.predictors.session import FitProgress, Session
from harness.schema import DialogueView, Prediction

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from baselines.neural.checkpoints import Checkpoints, Progress
    from baselines.neural.training import Task

MINILM = "minilm"
"""The encoder that installs with pip: all-MiniLM-L6-v2."""

WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"


@dataclass(eq=False)
class FineTunedTransformer(Predictor):
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
    class_weights: Literal["none", "train"] = "none"
    """Whether rare labels weigh more in the loss, in inverse proportion to their training counts."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """In which it learns: bf16 takes half the time where processor or GPU have it. Answers are given in fp32."""
    seed: int = 0

    causal: ClassVar[bool] = False
    """Whether one passage answers for a whole dialogue and no answer depends on later utterances; goes with context
    "past": a dialogue is then computed once, not once for each target."""
    max_norm: ClassVar[float] = 1.0
    """To which the gradient of all weights together is cut."""
    code_modules: ClassVar[tuple[str, ...]] = (
        *(f"baselines.neural.{name}" for name in ("training", "checkpoints", "views", "outcome", "numbering")),
        *(f"baselines.transformers.{name}" for name in ("passage", "batches", "optimizing")),
        "harness.features.loading",
        "harness.features.tuned",
    )

    _session: Session = field(default_factory=Session, init=False, repr=False)
    _labels: tuple[str, ...] = field(default=(), init=False, repr=False)
    _tokenizer: Any = field(default=None, init=False, repr=False)
    _network: "nn.Module | None" = field(default=None, init=False, repr=False)
    _training: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

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
        check_positive(
            epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.peak_rate, n_tokens=self.n_tokens
        )
        check_fraction(dropout=self.dropout, warmup=self.warmup)
        if self.n_tokens < 3:
            raise ConfigError(f"n_tokens {self.n_tokens!r}: expected 3 or more, two of which are special ones")
        if self.precision not in ("fp32", "bf16"):
            raise ConfigError(f"precision {self.precision!r}: expected fp32 or bf16")
        if self.patience < 0 or not self.weight_decay >= 0:
            raise ConfigError(
                f"patience {self.patience!r}, weight_decay {self.weight_decay!r}: expected 0 or more of each"
            )

    def use(self, session: Session) -> None:
        """Takes whether anything may be downloaded, where checkpoints belong, and whom to tell."""
        self._session = session

    def fit(self, train: Split, dev: Split) -> None:
        """Fine-tunes, and keeps the weights of the epoch with the highest weighted F1 on dev.

        Raises:
            DataError: a split has no labelled utterance.
            ModelError: the encoder cannot be loaded, or the loss is not finite.
            MissingDependencyError: torch or transformers is not installed.
        """
        check_packages("torch", "transformers", "safetensors")
        from baselines.neural.training import Plan
        from baselines.neural.training import train as train_network

        self._labels = train.label_set.labels
        self._tokenizer, network = self._new_network()
        passages, dev_passages = self._read_split(train), self._read_split(dev)
        plan = Plan(self.epochs, self.batch_size, self.patience, self.seed, all_threads=True)
        n_updates = -(-len(passages) // self.batch_size)

        def tell(progress: "Progress", plan: Plan) -> None:
            done, total = progress.epoch * n_updates, plan.epochs * n_updates
            self._session.report(FitProgress(done, total, describe_epoch(progress)))

        with self._own_randomness():
            self.prepare(network, passages)
        task = self._task(network, passages, dev_passages, self.epochs * n_updates)
        progress = train_network(task, plan, self._checkpoints(), tell)
        self._network = network
        self._training = summarise_training(network, progress, pick_device())

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        """Yields the likeliest labels with probabilities; no answer depends on the other dialogues."""
        if self._network is None:
            raise PredictionError(f"{type(self).__name__} has learned nothing yet; call fit or load first")
        yield from self._answer(self._network, dialogues, *self._read_views(dialogues))

    def predict_epochs(self, dialogues: Sequence[DialogueView]) -> Iterator[tuple[int, list[list[Prediction]]]]:
        """Yields (epoch, predictions) for the weights after every epoch, where the session keeps them."""
        if self._session.checkpoints is not None and self._network is not None:
            _, network = self._new_network()
            passages, owners = self._read_views(dialogues)
            for epoch in self._checkpoints().epochs(network):
                yield epoch, list(self._answer(network, dialogues, passages, owners))

    def save(self, folder: Path) -> None:
        """Writes the weights, and labels and what came of the training."""
        from safetensors.torch import save_model

        if self._network is None:
            raise PredictionError(f"{type(self).__name__} has learned nothing yet; call fit or load first")
        save_model(self._network, str(folder / WEIGHTS))
        settings = {"labels": self._labels, "training": self._training}
        (folder / SETTINGS).write_text(json.dumps(settings) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote, over the encoder as it was published; raises StoreError, and as `load_base`."""
        check_packages("torch", "transformers", "safetensors")
        from safetensors.torch import load_model

        with reading_weights(folder):
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            self._labels, self._training = tuple(settings["labels"]), settings["training"]
            self._tokenizer, self._network = self._new_network()
            load_model(self._network, folder / WEIGHTS)

    def facts(self) -> dict[str, Any]:
        """Returns which weights the encoder begins with, and what came of the training; raises as `locate_base`."""
        where = self.locate_base()
        content = {"content": TextEncoder().fingerprint} if self.encoder == MINILM else {}
        encoder = {"encoder": {"name": where.name, "revision": where.commit, **content}}
        return encoder | ({"training": self._training} if self._training else {})

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with name and content in the place of a path to an encoder."""
        name = params["encoder"]
        return {**params, "encoder": name if name == MINILM else Pretrained.named(name)}

    # Parts

    @property
    def peak_rate(self) -> float:
        """Learning rate at its peak."""
        usual = SMALL if self.encoder == MINILM else LARGE
        return usual.learning_rate if self.learning_rate is None else self.learning_rate

    def locate_base(self) -> Located:
        """Returns where the encoder lies on this machine, or at the hub.

        Raises:
            ModelError, MissingDependencyError: nowhere.
        """
        if self.encoder == MINILM:
            return Located(str(minilm_folder()), None, MINILM)
        return locate(self.encoder, download=self._session.calls.download)

    def _new_network(self) -> "tuple[Any, nn.Module]":
        """Returns (tokenizer, network) before any training, new weights drawn from the seed, on its device."""
        with self._own_randomness():
            tokenizer, encoder = self.load_base()
            if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
                raise ModelError(
                    f"encoder {self.encoder!r}: its tokenizer has no token to begin or to separate texts; "
                    "expected an encoder such as BERT, RoBERTa or XLNet"
                )
            if self.n_tokens > tokenizer.model_max_length:
                raise ConfigError(
                    f"n_tokens {self.n_tokens!r}: encoder {self.encoder!r} reads {tokenizer.model_max_length} at most"
                )
            return tokenizer, self.build(encoder, tokenizer, len(self._labels)).to(pick_device())

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Seeds torch, and leaves everybody else's numbers as they were."""
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            yield

    def _checkpoints(self) -> "Checkpoints":
        from baselines.neural.checkpoints import Checkpoints

        return Checkpoints(self._session.checkpoints)

    def _task(
        self, network: "nn.Module", passages: list[Passage], dev: list[Passage], n_updates: int
    ) -> "Task[Passage]":
        from torch.nn.utils import clip_grad_norm_

        from baselines.neural.training import Task, class_weights
        from baselines.transformers.optimizing import computing_in, updates_made

        weights = None
        if self.class_weights == "train":
            weights = class_weights([p.gold() for p in passages], len(self._labels)).to(pick_device())
        optimizer = self.make_optimizer(network, n_updates)

        def backward(batch: Sequence[Passage]) -> float:
            network.zero_grad()
            with computing_in(self.precision, network):
                loss = self.loss(network, batch, weights)
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(network.parameters(), self.max_norm)
            value = float(loss.detach())
            self._session.report(FitProgress(updates_made(optimizer), n_updates, f"fine-tuning, loss {value:.3f}"))
            return value

        return Task(
            network, optimizer, passages, dev, lambda p: p.n_tokens, backward,
            lambda batch: self._logits(network, batch), Passage.gold, len(self._labels),
        )  # fmt: skip

    def _logits(self, network: "nn.Module", passages: Sequence[Passage]) -> list[NDArray[np.float32]]:
        """Returns logits float32 (n_answers, n_labels) of each passage, answered in portions."""
        from baselines.transformers.batches import portions

        rows = np.concatenate([network(portion).float().cpu().numpy() for portion in portions(passages)])
        ends = accumulate((len(passage.answers) for passage in passages), initial=0)
        return [rows[start:end] for start, end in pairwise(ends)]

    def _read_split(self, split: Split) -> list[Passage]:
        """Returns the passages of a split that answer for a labelled utterance, with labels."""
        dialogues = [d for d in split.dialogues if d.labelled()]
        if not dialogues:
            raise DataError(f"{split.dataset}, split {split.name!r}: no utterance has a label; expected some")
        views = [next(d.views("full", split.label_set)) for d in dialogues]
        return [
            replace(passage, labels=tuple(labels[i] for i in passage.answers))
            for view, labels in zip(views, number_labels(dialogues, split.label_set), strict=True)
            for passage in self.read(view, self._tokenizer)
        ]

    def _read_views(self, views: Sequence[DialogueView]) -> tuple[list[Passage], list[tuple[int, int]]]:
        """Returns the passages that answer for views, and for each view where its own begin and end."""
        whole, belongs = join_beginnings(views) if self.causal else (list(views), list(range(len(views))))
        read = [list(self.read(view, self._tokenizer)) for view in whole]
        ends = list(pairwise(accumulate(map(len, read), initial=0)))
        return [passage for own in read for passage in own], [ends[i] for i in belongs]

    def _answer(
        self,
        network: "nn.Module",
        views: Sequence[DialogueView],
        passages: Sequence[Passage],
        owners: Sequence[tuple[int, int]],
    ) -> Iterator[list[Prediction]]:
        from baselines.neural.training import predict_items

        answers = predict_items(network, passages, lambda batch: self._logits(network, batch), lambda p: p.n_tokens)
        for view, (start, end) in zip(views, owners, strict=True):
            rows = {
                position: row
                for passage, own in zip(passages[start:end], answers[start:end], strict=True)
                for position, row in zip(passage.answers, own, strict=True)
            }
            logits = np.stack([rows[position] for position in view.target_positions])
            yield make_predictions(view, logits, self._labels)
