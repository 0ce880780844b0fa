"""Word and character n-grams of an utterance, of what was said before it and of who speaks, under a linear model.

Holds everything that the two TF-IDF systems share: the features, the settings and their checks, prediction, and storage
without pickle. How the weights are learned, and whether decision values become probabilities, is the business of the
module of each system. Importing this module loads no scikit-learn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data import Split
from harness.data.text import canonical_text
from harness.errors import ConfigError, DataError
from harness.predictors import Predictor
from harness.schema import DialogueView, Prediction

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.pipeline import FeatureUnion

ClassWeight = Literal["balanced"] | None
"""Whether errors on rare labels weigh more: in inverse proportion to the label's training count, or not at all."""

BLOCK_WEIGHTS = {"words": 1.0, "characters": 0.5, "history": 0.7, "speakers": 0.3}
"""Factor of each block of features, every one of unit length before; chosen on the dev splits of MELD and EmoryNLP."""

WORD = r"\w+(?:'\w+)*|[^\w\s]"
"""A word with its apostrophes, or one punctuation mark: '!' and '?' tell emotions apart better than most words."""

MODEL, TERMS = "model.npz", "terms.json"


@dataclass(frozen=True, slots=True)
class Item:
    """What the features of one target are made of, canonical and in lower case."""

    text: str
    history: str
    """The previous utterances, one a line."""
    speakers: tuple[str, ...]


def collect_items(view: DialogueView, history: int) -> list[Item]:
    """Returns one item per target of a view, each with at most `history` previous utterances."""
    items = []
    for i in view.target_positions:
        *said, text = (canonical_text(u.text).lower() for u in view.utterances[max(0, i - history) : i + 1])
        speakers = tuple(canonical_text(name).lower() for name in view.utterances[i].speakers)
        items.append(Item(text, "\n".join(said), speakers))
    return items


def unite_blocks(terms: Mapping[str, list[str] | None]) -> FeatureUnion:
    """Returns the blocks of features to be fitted, by name; where terms are given, only their idf is missing."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    words: dict[str, Any] = {"token_pattern": WORD, "ngram_range": (1, 2)}
    settings: dict[str, dict[str, Any]] = {
        "words": words | {"preprocessor": attrgetter("text")},
        "characters": {
            "preprocessor": attrgetter("text"), "analyzer": "char_wb", "ngram_range": (2, 5), "min_df": 2
        },
        "history": words | {"preprocessor": attrgetter("history"), "min_df": 2},
        "speakers": {"analyzer": attrgetter("speakers")},
    }  # fmt: skip
    blocks = [(name, TfidfVectorizer(vocabulary=terms[name], sublinear_tf=True, **settings[name])) for name in terms]
    return FeatureUnion(blocks, transformer_weights={name: BLOCK_WEIGHTS[name] for name in terms})


def spread_weights(model: Any, n_labels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the weights (n_features, n_labels) and intercepts (n_labels,) of a fitted scikit-learn linear classifier.

    The classes of the model are label ids. A label that it never saw gets minus infinity. Of two classes scikit-learn
    keeps the weights of the second only; those of the first are zero.
    """
    weights = np.zeros((model.coef_.shape[1], n_labels))
    intercept = np.full(n_labels, -np.inf)
    intercept[model.classes_] = 0.0
    columns = model.classes_[-len(model.coef_) :]
    weights[:, columns] = model.coef_.T
    intercept[columns] = model.intercept_
    return weights, intercept


class NgramClassifier(Predictor):
    """A linear model over TF-IDF blocks. A system derives from it and says how weights are learned.

    Args:
        history: number of previous utterances, as a block of word n-grams of their own; 0: none.
        speaker: whether the speakers' names are features.
        c: inverse strength of the L2 penalty.
        class_weight: see `ClassWeight`.

    Raises:
        ConfigError: a value that is not allowed.
    """

    _labels: tuple[str, ...]
    """Label of each column of the weights."""
    _features: FeatureUnion
    """One TfidfVectorizer a block."""
    _weights: NDArray[np.float64]
    """float64 (n_features, n_labels)."""
    _intercept: NDArray[np.float64]
    """float64 (n_labels,); minus infinity for a label that training never saw."""

    def __init__(self, history: int, speaker: bool, c: float, class_weight: ClassWeight) -> None:
        if history < 0:
            raise ConfigError(f"parameter 'history': got {history!r}, expected 0 or a positive number of utterances")
        if not 0 < c < math.inf:
            raise ConfigError(f"parameter 'c': got {c!r}, expected a finite number above 0")
        if class_weight not in ("balanced", None):
            raise ConfigError(f"parameter 'class_weight': got {class_weight!r}, expected 'balanced' or None")
        self._history = history
        self._speaker = speaker
        self._c = c
        self._class_weight = class_weight

    def fit(self, train: Split, dev: Split) -> None:
        """Learns vocabulary, term weights and model from the training split; dev is not read.

        Raises:
            DataError: the training split has one label only.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if len(set(train.gold.values())) < 2:
            raise DataError(
                f"{train.dataset}, split {train.name!r}: expected two labels or more to tell apart, got one"
            )
        items: list[Item] = []
        for dialogue in train.dialogues:
            for view in dialogue.views("past", train.label_set):
                items += collect_items(view, self._history)
        targets = np.array([train.label_set.index(label) for label in train.gold.values()])
        blocks = ["words", "characters"]
        blocks += ["history"] if any(item.history for item in items) else []
        blocks += ["speakers"] if self._speaker else []
        self._labels = train.label_set.labels
        self._features = unite_blocks(dict.fromkeys(blocks))
        features = self._features.fit_transform(items)
        with threadpool_limits(1, user_api="blas"):  # sums then have one order, and short ones are faster
            model = self._learn(features, targets)
        self._weights, self._intercept = spread_weights(model, len(self._labels))

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> list[list[Prediction]]:
        """Returns the label with the highest decision value for every target."""
        items = [item for view in dialogues for item in collect_items(view, self._history)]
        decisions = self._features.transform(items) @ self._weights + self._intercept
        rows = zip(decisions.argmax(axis=1), self._score(decisions), strict=True)
        return [[self._prediction(target.id, *next(rows)) for target in view.targets] for view in dialogues]

    def save(self, folder: Path) -> None:
        """Writes `model.npz` (weights, intercept, inverse document frequencies) and `terms.json` (labels, terms)."""
        blocks = dict(self._features.transformer_list)
        terms = {name: sorted(block.vocabulary_, key=block.vocabulary_.get) for name, block in blocks.items()}
        (folder / TERMS).write_text(json.dumps({"labels": self._labels, "terms": terms}), encoding="utf-8")
        idf = {f"idf_{name}": block.idf_ for name, block in blocks.items()}
        np.savez(folder / MODEL, weights=self._weights, intercept=self._intercept, **idf)

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote."""
        known = json.loads((folder / TERMS).read_text(encoding="utf-8"))
        self._labels = tuple(known["labels"])
        self._features = unite_blocks(known["terms"])
        with np.load(folder / MODEL, allow_pickle=False) as arrays:
            self._weights, self._intercept = arrays["weights"], arrays["intercept"]
            for name, block in self._features.transformer_list:
                block.idf_ = arrays[f"idf_{name}"]

    def _learn(self, features: csr_matrix, targets: NDArray[np.int64]) -> Any:
        """Returns a fitted scikit-learn linear classifier; features are (n, n_features), targets label ids (n,)."""
        raise NotImplementedError

    def _score(self, decisions: NDArray[np.float64]) -> Sequence[Sequence[float] | None]:
        """Returns the probabilities of every row of decision values (n, n_labels), or None for each."""
        raise NotImplementedError

    def _prediction(self, utterance_id: str, best: int, scores: Sequence[float] | None) -> Prediction:
        """Returns the prediction of one target; `best` is the id of its label."""
        named = None if scores is None else dict(zip(self._labels, scores, strict=True))
        return Prediction(utterance_id, self._labels[best], named)
