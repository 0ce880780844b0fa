"""TODKAT: an encoder that has learned topics from the dialogues, commonsense knowledge, a layer over utterances.

    H, z_t = encoder with a topic layer (speaker : words of u_t)        u_t = state of the first token in H
    c_t = attention of [u_t; z_t] over the nine relations of u_t        x_t = W_x [u_t; z_t; c_t] + b_x
    h_t = transformer layer over x_1 .. x_N, 8 heads                    y_t = softmax(W_y h_t + b_y)

The topic layer (`TopicLayer`) stands behind the middle layer of the encoder. Before any label is seen, encoder and
topics learn to find hidden words of the training dialogues again: the loss is the negative evidence lower bound.

Source: Zhu et al. 2021, "Topic-Driven and Knowledge-Aware Transformer for Dialogue Emotion Detection", section 3;
something678/TodKat. Knowingly different: knowledge comes as vectors of the nine relations, computed elsewhere, not as
phrases that are generated and chosen; topics are added to the states of the tokens and begin without effect; the layer
over utterances sees a dialogue, not the same position of several, and no decoder follows it; few epochs instead of 100,
with linear warm-up and decay; the epoch is chosen on dev, and F1 is called with its arguments in order.

Any masked language model of transformers with a list of layers can be the encoder. MiniLM was published without a head
for words: over it, the head is drawn from the seed and learns with the topics, its output weights being those of the
word vectors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from baselines.neural.outcome import reading_weights
from baselines.neural.relations import relation_width, require_knowledge
from baselines.transformers.fine_tuned import FineTunedTransformer
from baselines.transformers.passage import Passage
from harness.data import Split
from harness.data.damage import SEAL, seal
from harness.data.writing import disk, settle
from harness.features import ENCODERS, EncoderName, Features, FeatureSource
from harness.features.features import Rows
from harness.features.tuned import spoken_text
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_not_negative, check_positive
from harness.predictors.session import FitProgress, Session
from harness.schema import DialogueView

if TYPE_CHECKING:
    from torch import nn

TOPICS = "topics.safetensors"
"""Weights after topics were learned, beside the checkpoints."""

N_TEXTS = 32
"""Texts in a batch from which topics are learned."""


@dataclass(frozen=True)
class InformedPassage(Passage):
    """A dialogue, a sequence for each utterance, and what is known of them."""

    knowledge: Rows = field(default_factory=lambda: np.zeros((0, 0), np.float32), compare=False)
    """float32 (n_utterances, 9 * width); without columns where there is none."""


@register_predictor(
    "todkat-no-kb",
    card=PredictorCard(
        family="transformer",
        context="full",
        trained_on=("train",),
        source="Zhu et al. 2021; something678/TodKat",
        summary="An encoder with topics learned from the dialogues, and a transformer layer over utterances.",
    ),
)
@dataclass(eq=False)
class TodkatNoKb(FineTunedTransformer):
    """Topics, and no knowledge."""

    epochs: int = 5
    batch_size: int = 4
    """Dialogues."""
    n_tokens: int = 128
    """Of an utterance, special ones included."""
    topics: int = 50
    """Width of the latent topics."""
    topic_epochs: int = 2
    """In which hidden words of the training dialogues are to be found; 0: topics learn from labels alone."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *FineTunedTransformer.code_modules,
        *(
            f"baselines.transformers.{name}"
            for name in ("todkat_network", "topic_learning", "utterance_layer", "language_models")
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(topics=self.topics)
        check_not_negative(topic_epochs=self.topic_epochs)

    def read(self, view: DialogueView, tokenizer: Any) -> Iterator[InformedPassage]:
        """Yields the whole view as one passage."""
        texts = [spoken_text(u) for u in view.utterances]
        ids = tokenizer(texts, truncation=True, max_length=self.n_tokens).input_ids
        yield InformedPassage(tuple(map(tuple, ids)), tuple(view.target_positions))

    def build(self, encoder: Any, tokenizer: Any, n_labels: int) -> "nn.Module":
        """Returns the network around a masked language model."""
        from baselines.transformers.todkat_network import TodkatNetwork

        return TodkatNetwork(encoder, self.topics, self.relation, n_labels, self.dropout)

    @property
    def relation(self) -> int | None:
        """Width of one relation's vector; None: no knowledge is read."""
        return None

    def prepare(self, network: "nn.Module", passages: Sequence[Passage]) -> None:
        """Lets the network learn topics from the words, or takes up what it has learned before an interruption."""
        from safetensors.torch import load_model, save_model

        from baselines.neural.training import Plan
        from baselines.transformers.topic_learning import learn_topics

        if not self.topic_epochs:
            return
        kept = None if self._session.checkpoints is None else self._session.checkpoints / TOPICS
        if kept is not None and kept.with_suffix(SEAL).is_file():
            with reading_weights(kept):
                load_model(network, kept)
            return
        model: Any = network
        texts = [tokens for passage in passages for tokens in passage.tokens]
        plan = Plan(self.topic_epochs, N_TEXTS, 0, self.seed)
        learn_topics(model, texts, self._tokenizer, plan, self.peak_rate, self.precision, self._tell_topics)
        if kept is not None:
            part = kept.with_suffix(".part")
            with disk(kept):
                kept.parent.mkdir(parents=True, exist_ok=True)
                save_model(network, str(part))
                settle(part, kept)
                seal(kept.with_suffix(SEAL), [kept])

    def load_base(self) -> tuple[Any, Any]:
        """Returns (tokenizer, masked language model) as published, on the CPU in float32; raises as the base does."""
        from baselines.transformers.language_models import load_language_model

        return load_language_model(self.locate_base(), "MaskedLM", self._session.calls.download)

    def _tell_topics(self, made: int, planned: int, loss: float) -> None:
        self._session.report(FitProgress(0, planned, f"learning topics, update {made} of {planned}, loss {loss:.3f}"))


@register_predictor(
    "todkat",
    card=PredictorCard(
        family="transformer",
        context="full",
        trained_on=("train",),
        source="Zhu et al. 2021; something678/TodKat",
        summary="An encoder with topics learned from the dialogues, commonsense knowledge, a layer over utterances.",
    ),
)
@dataclass(eq=False)
class Todkat(TodkatNoKb):
    """Topics and commonsense knowledge."""

    knowledge: str | None = None
    """Features with nine vectors of each utterance, such as file:FILE; needed."""

    code_modules: ClassVar[tuple[str, ...]] = (*TodkatNoKb.code_modules, "baselines.neural.relations")

    _source: FeatureSource = field(default_factory=FeatureSource, init=False, repr=False)
    _features: Features | None = field(default=None, init=False, repr=False)
    _reading: str | None = field(default=None, init=False, repr=False)
    """Name of the split that is read; None: the one to be predicted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_knowledge(self.knowledge, "todkat-no-kb")
        EncoderName.parse(str(self.knowledge))

    def use(self, session: Session) -> None:
        """Takes where knowledge comes from, beside what every system takes."""
        super().use(session)
        self._take(session.features or self._source)

    def fit(self, train: Split, dev: Split) -> None:
        """Trains as every system; raises DataError too where knowledge is missing or of another width."""
        if self._session.features is None:
            self._take(FeatureSource((train, dev), download=self._session.calls.download))
        super().fit(train, dev)

    def read(self, view: DialogueView, tokenizer: Any) -> Iterator[InformedPassage]:
        """Yields the whole view as one passage, with what is known of its utterances."""
        rows = self.informed.rows(view.utterances, self._reading or self._source.target)
        for passage in super().read(view, tokenizer):
            yield replace(passage, knowledge=rows)

    @property
    def informed(self) -> Features:
        """The knowledge, opened once; raises as `FeatureSource.load`."""
        if self._features is None:
            self._features = self._source.load(str(self.knowledge), self.seed)
        return self._features

    @property
    def relation(self) -> int:
        """Width of one relation's vector."""
        return relation_width(self.informed.width(next(iter(self._source.spoken))))

    def facts(self) -> dict[str, Any]:
        """Returns the knowledge that was read, beside what every system says."""
        read = {} if self._features is None else {"features": {"knowledge": self._features.facts()}}
        return super().facts() | read

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with content in the place of paths to encoder and knowledge."""
        named = super().identify(params)
        if named["knowledge"] is not None:
            name = EncoderName.parse(named["knowledge"])
            named["knowledge"] = name.with_argument(ENCODERS.get(name.encoder).build.named(name.argument))
        return named

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card with the kind of knowledge."""
        card = super().refine_card(card, params)
        if params["knowledge"] is None:
            return card
        name = EncoderName.parse(params["knowledge"])
        return replace(card, features=(*card.features, f"knowledge: {name.encoder}, {ENCODERS.get(name.encoder).kind}"))

    def _take(self, source: FeatureSource) -> None:
        self._source, self._features = source, None

    def _read_split(self, split: Split) -> list[Passage]:
        self._reading = split.name
        try:
            return super()._read_split(split)
        finally:
            self._reading = None
