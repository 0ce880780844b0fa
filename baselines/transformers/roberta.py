"""RoBERTa on the utterance alone: the floor under every system that reads a dialogue through such an encoder.

    name: utterance   ->   state of the first token   ->   linear layer   ->   label

This is the training that tuned features come from (`harness.features.tuned`): recipe, text and weights are theirs, and
one training serves both. With encoder=minilm it is that of the features minilm-tuned.

Source: Liu et al. 2019, "RoBERTa", section 5.1, and the row "RoBERTa" of COSMIC (Ghosal et al. 2020, table 2;
declare-lab/conv-emotion). Knowingly different: the speaker's name stands before the utterance; few epochs; chosen by
weighted F1 on dev, not by accuracy.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from baselines.neural.outcome import make_predictions, reading_weights
from baselines.transformers.encoders import MINILM, encoder_named
from harness.data import Split
from harness.errors import PredictionError
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.featured import FeaturePredictor, Stream
from harness.schema import DialogueView, Prediction

LABELS = "labels.json"


@register_predictor(
    "roberta",
    card=PredictorCard(
        family="transformer",
        context="none",
        trained_on=("train",),
        source="Liu et al. 2019, arXiv 1907.11692; declare-lab/conv-emotion",
        summary="An encoder fine-tuned on single utterances, with names; -P encoder=minilm is small.",
    ),
)
@dataclass(eq=False)
class Roberta(FeaturePredictor):
    """The tuned encoder, and the linear layer that it learned with."""

    encoder: str = "roberta-large"
    """What is fine-tuned: minilm, a name at the hub, or a folder."""

    code_modules: ClassVar[tuple[str, ...]] = (
        *FeaturePredictor.code_modules,
        "baselines.neural.outcome",
        "baselines.transformers.encoders",
        "harness.features.tuned",
        "harness.features.tuning",
    )

    _labels: tuple[str, ...] = field(default=(), init=False, repr=False)

    def stream_encoders(self) -> dict[Stream, str]:
        """Returns the name of the features that this training makes."""
        return {"text": tuned_name(self.encoder)}

    def fit(self, train: Split, dev: Split) -> None:
        """Fine-tunes, or takes up the training of the features; raises as `FeatureSource.load`."""
        self.learn_from(train, dev)
        self._labels = train.label_set.labels
        self.features()

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Iterator[list[Prediction]]:
        """Yields the likeliest labels with probabilities; no answer depends on the other dialogues."""
        if not self._labels:
            raise PredictionError("roberta has learned nothing yet; call fit or load first")
        states = self.rows([target for view in dialogues for target in view.targets])["text"]
        encoder: Any = self.features().encoder
        weight, bias = encoder.head()
        start = 0
        for view in dialogues:
            end = start + len(view.targets)
            yield make_predictions(view, states[start:end] @ weight.T + bias, self._labels)
            start = end

    def save(self, folder: Path) -> None:
        """Writes the labels; the weights are kept with the features."""
        (folder / LABELS).write_text(json.dumps(self._labels), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote."""
        with reading_weights(folder):
            self._labels = tuple(json.loads((folder / LABELS).read_text(encoding="utf-8")))
        self.features()  # the facts tell of them, even if nothing is left to predict

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns parameters with name and content in the place of a path to an encoder."""
        return {**params, "encoder": encoder_named(params["encoder"])}

    @classmethod
    def refine_card(cls, card: PredictorCard, params: Mapping[str, Any]) -> PredictorCard:
        """Returns the card with the features that this training makes."""
        return super().refine_card(card, {**params, "encoder": tuned_name(params["encoder"])})


def tuned_name(encoder: str) -> str:
    """Returns the name of the features of an encoder that is fine-tuned."""
    return "minilm-tuned" if encoder == MINILM else f"hf-tuned:{encoder}"
