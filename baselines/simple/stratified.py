"""Labels drawn at random in their training proportions: what guessing with knowledge of the prior scores."""

from __future__ import annotations

import hashlib

import numpy as np

from harness.data import Split
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.schema import DialogueView, Prediction


@register_predictor(
    "stratified",
    card=PredictorCard(
        family="simple",
        context="none",
        modalities=(),
        trained_on=("train",),
        summary="A random label, drawn in the proportions of the training labels.",
    ),
)
class Stratified(Predictor):
    """Draws every label from the training prior.

    Each utterance has a generator of its own, seeded by the run and the utterance's id, so that neither the order of
    dialogues nor what else is in a batch changes a draw.
    """

    _prior: dict[str, float]

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def fit(self, train: Split, dev: Split) -> None:
        """Takes the proportions of the training labels; dev is not read."""
        counts = train.label_counts()
        total = sum(counts.values())
        self._prior = {label: n / total for label, n in counts.items()}

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        """Returns a drawn label for every target, with the prior as its scores."""
        return [Prediction(utterance.id, self._draw(utterance.id), self._prior) for utterance in dialogue.targets]

    def _draw(self, utterance_id: str) -> str:
        digest = hashlib.sha256(utterance_id.encode()).digest()
        rng = np.random.default_rng([self._seed, int.from_bytes(digest)])
        return str(rng.choice(list(self._prior), p=list(self._prior.values())))
