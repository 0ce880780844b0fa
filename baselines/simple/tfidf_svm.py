"""A linear support vector machine over TF-IDF n-grams: what surface form alone gives away."""

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
    "tfidf-svm",
    card=PredictorCard(
        family="simple",
        context="past",
        trained_on=("train",),
        deterministic=True,
        summary="Linear SVM over word and character n-grams of the utterance and of what was said before.",
    ),
)
class TfidfSvm(NgramClassifier):
    """One-against-rest linear SVM with squared hinge loss; gives no probabilities.

    The primal problem is solved, because its solver draws no random numbers, and so closely that the order of labels or
    examples does not show.
    """

    def __init__(
        self, history: int = 5, speaker: bool = False, c: float = 0.15, class_weight: ClassWeight = "balanced"
    ) -> None:
        super().__init__(history, speaker, c, class_weight)

    def _learn(self, features: csr_matrix, targets: NDArray[np.int64]) -> Any:
        from sklearn.svm import LinearSVC

        model = LinearSVC(C=self._c, class_weight=self._class_weight, dual=False, tol=1e-6, max_iter=10_000)
        return model.fit(features, targets)

    def _score(self, decisions: NDArray[np.float64]) -> Sequence[None]:
        return [None] * len(decisions)
