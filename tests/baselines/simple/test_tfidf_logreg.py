"""Logistic regression: against scikit-learn's own pipeline, and what it reaches on real corpora."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from baselines.simple.tfidf_logreg import TfidfLogreg
from harness.data import Dataset, Split, load_dataset
from harness.schema import LabelSet, Prediction

Ask = Callable[..., list[Prediction]]


def keep_labels(split: Split, labels: tuple[str, ...]) -> Split:
    """Returns a split in which the other labels are not annotated."""
    return Split(split.dataset, split.name, tuple(
        replace(d, utterances=tuple(replace(u, label=u.label if u.label in labels else None) for u in d.utterances))
        for d in split.dialogues
    ), LabelSet(labels))  # fmt: skip


@pytest.mark.parametrize("labels", [("neutral", "joy"), ("joy", "neutral"), ("neutral", "joy", "anger", "sadness")])
def test_probabilities_are_those_of_scikit_learn(sample: Dataset, ask: Ask, labels: tuple[str, ...]) -> None:
    train, test = (keep_labels(sample.split(name), labels) for name in ("train", "test"))
    texts, asked = (
        [u.text.translate(str.maketrans("‘’“”", "''\"\"")) for u in s.utterances() if u.label is not None]
        for s in (train, test)
    )
    words = TfidfVectorizer(token_pattern=r"\w+(?:'\w+)*|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
    features = hstack([words.fit_transform(texts), 0.5 * characters.fit_transform(texts)])
    model = LogisticRegression(C=2.0, class_weight="balanced", tol=1e-6, max_iter=10_000)  # by L-BFGS
    with threadpool_limits(1):  # many threads make short sums slow
        model.fit(features, list(train.gold.values()))
    expected = model.predict_proba(hstack([words.transform(asked), 0.5 * characters.transform(asked)]))

    predictor = TfidfLogreg(history=0, c=2.0)
    predictor.fit(train, train)
    predicted = ask(predictor, test)
    got = np.array([[(p.scores or {})[label] for label in model.classes_] for p in predicted])
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert [p.label for p in predicted] == [max(p.scores or {}, key=(p.scores or {}).__getitem__) for p in predicted]


@pytest.mark.parametrize(
    ("dataset", "least"),
    [
        ("meld", 0.55),  # frozen MiniLM embeddings under logistic regression reach 0.564 on the same files
        ("emorynlp", 0.31),  # likewise, 0.322
    ],
)
def test_it_comes_near_to_frozen_sentence_embeddings(data_dir: Path, ask: Ask, dataset: str, least: float) -> None:
    corpus = load_dataset(dataset, data_dir)
    begin = time.process_time()
    predictor = TfidfLogreg()
    predictor.fit(corpus.split("train"), corpus.split("dev"))
    test = corpus.split("test")
    predicted = [prediction.label for prediction in ask(predictor, test)]
    assert time.process_time() - begin < 30
    assert f1_score(list(test.gold.values()), predicted, average="weighted", zero_division=0) >= least
