"""Predictors that read utterance features: which ones, where they come from, and what results say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, get_args

from harness.data import Split
from harness.features import ENCODERS, EncoderName, Features, FeatureSource
from harness.features.features import Rows
from harness.predictors.card import PredictorCard
from harness.predictors.predictor import Predictor
from harness.predictors.session import FitProgress, Session
from harness.schema import UtteranceView

Stream = Literal["text", "audio", "visual", "knowledge"]
"""Kinds of features that a system may read side by side; `knowledge` holds commonsense vectors of the utterance."""

STREAMS: tuple[Stream, ...] = get_args(Stream)


@dataclass(eq=False)
class FeaturePredictor(Predictor):
    """A predictor over features of utterances; a family of systems derives from it.

    A system that reads more than text has fields `audio`, `visual` or `knowledge`, of type `str | None`, with the name
    of an encoder each.
    """

    encoder: str = "minilm"
    """Text features: a name as in `erc-harness list encoders`."""
    seed: int = 0

    code_modules: ClassVar[tuple[str, ...]] = ("harness.features.features", "harness.features.states")

    _session: Session = field(default_factory=Session, init=False, repr=False)
    _source: FeatureSource = field(default_factory=FeatureSource, init=False, repr=False)
    _features: dict[Stream, Features] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.stream_encoders().values():
            EncoderName.parse(name)

    def stream_encoders(self) -> dict[Stream, str]:
        """Returns the name of the encoder of each kind of features that is read."""
        return _streams(vars(self))

    def use(self, session: Session) -> None:
        """Takes where features come from, and whom to tell."""
        self._session = session
        if session.features is not None:
            self._source = session.features
        self._features.clear()

    def learn_from(self, train: Split, dev: Split) -> None:
        """Takes the splits as the source of features where no session has lent one."""
        if self._session.features is None:
            self._source = FeatureSource((train, dev), download=self._session.calls.download)
            self._features.clear()

    def features(self, stream: Stream = "text") -> Features:
        """Returns the features of one kind, opened once; raises as `FeatureSource.load`."""
        if stream not in self._features:
            self._features[stream] = self._source.load(self.stream_encoders()[stream], self.seed, self._tell)
        return self._features[stream]

    def rows(self, utterances: Sequence[UtteranceView], split: str | None = None) -> dict[Stream, Rows]:
        """Returns the vectors of utterances by kind, float32 (n_utterances, width) each.

        Args:
            utterances: what to look up, or to encode.
            split: of the utterances; None: the one to be predicted.
        """
        name = split or self._source.target
        return {stream: self.features(stream).rows(utterances, name) for stream in self.stream_encoders()}

    def facts(self) -> dict[str, Any]:
        """Returns the features that were read; before any is, which they are to be."""
        return {"features": {stream: own.facts() for stream, own in sorted(self._features.items())}}

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with content in the place of paths to encoders and files of features."""
        named = dict(params)
        for stream, text in _streams(params).items():
            name = EncoderName.parse(text)
            argument = ENCODERS.get(name.encoder).build.named(name.argument)
            named["encoder" if stream == "text" else stream] = name.with_argument(argument)
        return named

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card with the modalities and features that are read; tuned ones depend on the seed."""
        names = {stream: EncoderName.parse(text) for stream, text in _streams(params).items()}
        kinds = {stream: ENCODERS.get(name.encoder).kind for stream, name in names.items()}
        modalities = tuple(stream for stream in names if stream != "knowledge")
        features = tuple(f"{stream}: {name.encoder}, {kinds[stream]}" for stream, name in names.items())
        settled = card.deterministic and "tuned" not in kinds.values()
        return replace(card, modalities=modalities, features=features, deterministic=settled)

    def _tell(self, done: int, total: int, text: str) -> None:
        self._session.report(FitProgress(done, total, text))


def _streams(params: Mapping[str, Any]) -> dict[Stream, str]:
    """Returns the encoders among parameters by kind of features, text first."""
    given = {stream: params.get("encoder" if stream == "text" else stream) for stream in STREAMS}
    return {stream: name for stream, name in given.items() if name is not None}
