"""Logistic regression over the features of one utterance: what the features are worth without any context.

Source: none; the floor under every system on the same features. Strength of the penalty and class weights were chosen
on the dev split of MELD.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data import Split
from harness.errors import DataError, PredictionError
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.checks import check_positive
from harness.predictors.featured import FeaturePredictor
from harness.schema import DialogueView, Prediction

MODEL, LABELS = "model.npz", "labels.json"


@register_predictor(
    "minilm-logreg",
    card=PredictorCard(
        family="utterance",
        context="none",
        trained_on=("train",),
        deterministic=True,
        summary="Logistic regression over the sentence vector of the utterance.",
    ),
)
@dataclass(eq=False)
class MinilmLogreg(FeaturePredictor):
    """Multinomial logistic regression, one weight vector a label."""

    c: float = 0.03
    """Inverse strength of the L2 penalty on weights of standardised features."""
    class_weights: Literal["none", "train"] = "none"
    """Whether rare labels weigh more, in inverse proportion to their training counts."""

    _labels: tuple[str, ...] = field(default=(), init=False, repr=False)
    _weights: NDArray[np.float64] | None = field(default=None, init=False, repr=False)
    """float64 (width + 1, n_labels), the intercepts last; minus infinity for a label that training never saw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(c=self.c)

    def fit(self, train: Split, dev: Split) -> None:
        """Learns from the labelled training utterances; dev is not read.

        Raises:
            DataError: the training split has one label only, or features are missing.
        """
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self.learn_from(train, dev)
        self._labels = train.label_set.labels
        labelled = [u for u in train.utterances() if u.label is not None]
        targets = np.array([train.label_set.index(str(u.label)) for u in labelled])
        if len(set(targets)) < 2:
            raise DataError(f"{train.dataset}, split {train.name!r}: expected two labels or more, got one")
        x = self.rows([u.view() for u in labelled], train.name)["text"].astype(np.float64)
        scale = np.maximum(x.std(axis=0), 1e-8)
        model: Any = LogisticRegression(
            C=self.c, class_weight="balanced" if self.class_weights == "train" else None, max_iter=1000
        )
        with threadpool_limits(1, user_api="blas"):
            model.fit((x - x.mean(axis=0)) / scale, targets)
        coef, intercept = model.coef_ / scale, model.intercept_ - model.coef_ @ (x.mean(axis=0) / scale)
        if len(coef) == 1:  # of two labels scikit-learn keeps the second; the first has weights 0
            coef, intercept = np.vstack([0 * coef, coef]), np.append(0.0, intercept)
        self._weights = np.zeros((x.shape[1] + 1, len(self._labels)))
        self._weights[-1] = -np.inf
        self._weights[:-1, model.classes_], self._weights[-1, model.classes_] = coef.T, intercept

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> list[list[Prediction]]:
        """Returns the likeliest label of every target, with probabilities."""
        from scipy.special import softmax

        if self._weights is None:
            raise PredictionError("minilm-logreg has learned nothing yet; call fit or load first")
        targets = [target for view in dialogues for target in view.targets]
        decisions = self.rows(targets)["text"] @ self._weights[:-1] + self._weights[-1]
        scores = iter(softmax(decisions, axis=1).tolist())
        return [[self._prediction(target.id, next(scores)) for target in view.targets] for view in dialogues]

    def save(self, folder: Path) -> None:
        """Writes `model.npz` and `labels.json`."""
        assert self._weights is not None
        np.savez(folder / MODEL, weights=self._weights)
        (folder / LABELS).write_text(json.dumps(self._labels), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote."""
        self._labels = tuple(json.loads((folder / LABELS).read_text(encoding="utf-8")))
        with np.load(folder / MODEL, allow_pickle=False) as arrays:
            self._weights = arrays["weights"]
        self.features()  # the facts tell of them, even if nothing is left to predict

    def _prediction(self, utterance_id: str, scores: Sequence[float]) -> Prediction:
        named = dict(zip(self._labels, scores, strict=True))
        return Prediction(utterance_id, max(named, key=lambda label: named[label]), named)
