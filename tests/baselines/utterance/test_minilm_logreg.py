"""Logistic regression on features: the decisions are those of scikit-learn, in any company, and after storage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from baselines.utterance.minilm_logreg import MinilmLogreg
from harness.data import Split, load_dataset
from harness.errors import ConfigError, DataError, PredictionError
from harness.features import FeatureSource
from harness.predictors import PREDICTORS
from harness.predictors.check import check_predictor
from harness.predictors.plugins import load_plugins
from harness.predictors.session import Session
from harness.schema import Dialogue, LabelSet, Utterance

SAMPLE = load_dataset("sample")


def test_keeps_every_rule(words_encoder: str) -> None:
    load_plugins()
    results = check_predictor(PREDICTORS.get("minilm-logreg"), {"encoder": words_encoder})
    assert [r.detail for r in results if not r.passed] == []


def test_probabilities_are_those_of_scikit_learn(words_encoder: str, tmp_path: Path) -> None:
    predictor = MinilmLogreg(encoder=words_encoder, class_weights="train")
    source = FeatureSource(SAMPLE.splits.values(), "test")
    predictor.use(Session(features=source))
    train, test = SAMPLE.split("train"), SAMPLE.split("test")
    predictor.fit(train, SAMPLE.split("dev"))
    features = source.load(words_encoder)
    scaler = StandardScaler().fit(features.rows([u.view() for u in train.utterances() if u.label], "train"))
    oracle = LogisticRegression(C=0.03, class_weight="balanced", max_iter=1000)
    oracle.fit(scaler.transform(features.rows([u.view() for u in train.utterances() if u.label], "train")),
               list(train.gold.values()))  # fmt: skip
    views = [view for d in test.dialogues for view in d.views("none", test.label_set)]
    told = [p for answer in predictor.predict_batch(views) for p in answer]
    x = scaler.transform(features.rows([u.view() for u in test.utterances() if u.label], "test"))
    expected = oracle.predict_proba(x)
    ours = np.array([[dict(p.scores or {})[label] for label in oracle.classes_] for p in told])
    np.testing.assert_allclose(ours, expected, atol=2e-3)
    predictor.save(tmp_path)
    restored = MinilmLogreg(encoder=words_encoder)
    restored.use(Session(features=source))
    restored.load(tmp_path)
    assert restored.facts() == predictor.facts(), "before anything is predicted"
    assert list(restored.predict_batch(views)) == list(predictor.predict_batch(views))


@pytest.mark.parametrize("n_seen", [1, 2])
def test_labels_that_train_lacks_get_nothing(n_seen: int, words_encoder: str) -> None:
    labels = LabelSet(("a", "b", "c"))
    words = [("a", "apple"), ("c", "cherry")][:n_seen] * 4
    utterances = tuple(Utterance(f"u{i}", ("X",), text, label) for i, (label, text) in enumerate(words))
    train = Split("lab", "train", (Dialogue("d", utterances),), labels)
    predictor = MinilmLogreg(encoder=words_encoder, c=10.0)
    if n_seen == 1:
        with pytest.raises(DataError, match="expected two labels or more, got one"):
            predictor.fit(train, train)
        with pytest.raises(PredictionError, match="has learned nothing yet"):
            predictor.predict_batch([])
        return
    predictor.fit(train, train)
    (answer,) = predictor.predict_batch(list(Dialogue("d", utterances).views("full", labels)))
    assert [p.label for p in answer] == [label for label, _ in words]
    assert all((p.scores or {})["b"] == 0 for p in answer)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'c': got 0"):
        MinilmLogreg(c=0)
