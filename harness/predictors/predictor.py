"""The one interface between systems and the harness, and the registry of its implementations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from harness.data import Split
from harness.errors import ConfigError
from harness.predictors.card import PredictorCard
from harness.predictors.session import Session
from harness.registry import Registry, origin_of
from harness.schema import DialogueView, Prediction


class Predictor:
    """A system that labels utterances. Override `predict` or `predict_batch`; the rest is optional.

    The keyword parameters of `__init__` are the configuration: every one needs a default and an annotation. A parameter
    `seed: int` receives the seed of the run. The constructor should be quick, because it is also called to check the
    parameters: load weights in `fit`, or when the first prediction is asked for.
    """

    code_modules: ClassVar[tuple[str, ...]] = ()
    """Modules beside its own whose code its predictions depend on; a run is not taken up again once they changed."""

    def fit(self, train: Split, dev: Split) -> None:
        """Learns from the training split; the dev split is for choosing epochs and settings. Default: nothing.

        Called once before any prediction, unless `load` restored the predictor.
        """

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        """Returns one prediction per target of the view, in order."""
        return list(next(iter(self.predict_batch([dialogue]))))

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterable[Sequence[Prediction]]:
        """Returns the predictions of several views, in order; each must not depend on the others. Default: one by one.

        A method that yields them is asked about all views at once, and each answer is kept as it comes.
        """
        return [self.predict(dialogue) for dialogue in dialogues]

    def predict_epochs(self, dialogues: Sequence[DialogueView]) -> Iterable[tuple[int, Sequence[Sequence[Prediction]]]]:
        """Yields (epoch, predictions as of `predict_batch`) for the weights after each epoch that `fit` kept.

        Epochs count from 1. It chooses nothing: the runner scores what is yielded, after the run has its predictions,
        and stores the best as "oracle", apart and marked. Default: none.
        """
        return ()

    def save(self, folder: Path) -> None:
        """Writes what `fit` learned, so that an interrupted run need not fit again. No pickle. Default: nothing."""

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote; called instead of `fit`."""

    def use(self, session: Session) -> None:
        """Takes what this session lends, before anything else; may be asked again with another. Default: nothing."""

    def expect(self, split: str, utterance_ids: Mapping[str, Collection[str]]) -> None:
        """Hears which split will be predicted, and the ids of every utterance by split, before it learns.

        For predictors with files about utterances, whose ids may be alike in several splits. Default: nothing.
        """

    def remark(self) -> str:
        """Returns what the user should know once the run is done, in one line. Default: nothing."""
        return ""

    def kept(self) -> Mapping[str, Any]:
        """Returns where `Session.trained` keeps what `fit` learned, and what to know of it, as a row of a table.

        Default: nothing is kept. A predictor that overrides it can be trained by the command `tune`.
        """
        return {}

    def close(self) -> None:
        """Lets go of what was loaded or opened; called at the end of a run. Default: nothing."""

    def facts(self) -> Mapping[str, Any]:
        """Returns what the manifest should say beside the parameters, as JSON values: what a name turned out to mean.

        Asked of a new instance too: an unfinished run is begun anew if the answer is another one by then.
        """
        return {}

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters as runs are named and stored by them: no path of a machine. Default: as they are."""
        return dict(params)

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the declaration under these parameters, such as less context or nothing drawn. Default: the same."""
        return card

    @classmethod
    def can_shard(cls, params: Mapping[str, Any]) -> bool:
        """Whether several processes may predict parts of a split, each after its own `fit`. Default: without `fit`."""
        return cls.fit is Predictor.fit

    @classmethod
    def can_resume(cls) -> bool:
        """Whether the class can save and load what it learned."""
        return cls.save is not Predictor.save and cls.load is not Predictor.load


@dataclass(frozen=True, slots=True)
class PredictorSpec:
    """A registered predictor."""

    name: str
    card: PredictorCard
    build: type[Predictor]


PREDICTORS: Registry[PredictorSpec] = Registry("predictor")

P = TypeVar("P", bound=type[Predictor])


def register_predictor(name: str, *, card: PredictorCard) -> Callable[[P], P]:
    """Returns a class decorator that registers a predictor.

    Args:
        name: lower-case letters, digits, '.', '_', '-'; from outside this project 'lab/name'.
        card: its declaration.

    Raises:
        ConfigError: the name is not allowed, or the class overrides neither `predict` nor `predict_batch`.
        DuplicateNameError: the name is taken.
    """

    def register(cls: P) -> P:
        if cls.predict is Predictor.predict and cls.predict_batch is Predictor.predict_batch:
            raise ConfigError(f"predictor {name!r}: {cls.__name__} must define predict or predict_batch")
        target = f"{cls.__module__}:{cls.__qualname__}"
        PREDICTORS.add(name, PredictorSpec(name, card, cls), origin=origin_of(cls.__module__), target=target)
        return cls

    return register
