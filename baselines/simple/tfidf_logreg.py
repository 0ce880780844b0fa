"""Multinomial logistic regression over TF-IDF n-grams: the bag-of-words model that gives probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from baselines.simple.ngrams import ClassWeight, NgramClassifier
from harness.predictors import PredictorCard, register_predictor

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@register_predictor(
    "tfidf-logreg",
    card=PredictorCard(
        family="simple",
        context="past",
        trained_on=("train",),
        deterministic=True,
        summary="Logistic regression over word and character n-grams of the utterance and of what was said before.",
    ),
)
class TfidfLogreg(NgramClassifier):
    """Logistic regression with one weight vector a label.

    Newton's method draws no random numbers and, on these features, comes nearer to the optimum than L-BFGS, and sooner.
    """

    def __init__(
        self, history: int = 5, speaker: bool = False, c: float = 4.0, class_weight: ClassWeight = "balanced"
    ) -> None:
        super().__init__(history, speaker, c, class_weight)

    def _learn(self, features: csr_matrix, targets: NDArray[np.int64]) -> Any:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(
            C=self._c, class_weight=self._class_weight, solver="newton-cg", tol=1e-6, max_iter=1000
        )
        return model.fit(features, targets)

    def _score(self, decisions: NDArray[np.float64]) -> Sequence[list[float]]:
        odds = np.exp(decisions - decisions.max(axis=1, keepdims=True))
        return (odds / odds.sum(axis=1, keepdims=True)).tolist()  # type: ignore[no-any-return]
