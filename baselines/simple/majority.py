"""The most frequent label of the training split, for every utterance: the floor that every system must pass."""

from __future__ import annotations

from harness.data import Split
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.schema import DialogueView, Prediction


@register_predictor(
    "majority",
    card=PredictorCard(
        family="simple",
        context="none",
        modalities=(),
        trained_on=("train",),
        deterministic=True,
        summary="Always the most frequent training label.",
    ),
)
class Majority(Predictor):
    """Gives every utterance the most frequent training label; of equally frequent ones the first of the label set."""

    _label: str

    def fit(self, train: Split, dev: Split) -> None:
        """Counts the training labels; dev is not read."""
        counts = train.label_counts()
        self._label = max(counts, key=lambda label: counts[label])

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        """Returns the same label for every target, without scores."""
        return [Prediction(utterance.id, self._label) for utterance in dialogue.targets]
