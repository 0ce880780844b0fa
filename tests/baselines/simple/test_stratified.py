"""Random labels: in the right proportions, and bound to seed and utterance alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from scipy.stats import chisquare

from baselines.simple.stratified import Stratified
from harness.data import Split
from harness.schema import Prediction

SHARES = {"neutral": 0.5, "joy": 0.3, "anger": 0.2, "fear": 0.0}


@pytest.fixture
def train(make_split: Callable[..., Split]) -> Split:
    labels = ["neutral"] * 5 + ["joy"] * 3 + ["anger"] * 2 + [None]
    return make_split([("A", "a", label) for label in labels])


@pytest.fixture
def test(make_split: Callable[..., Split]) -> Split:
    return make_split(*([("A", "a", "joy")] * 10 for _ in range(400)), name="t")


def fitted(train: Split, seed: int) -> Stratified:
    predictor = Stratified(seed=seed)
    predictor.fit(train, train)
    return predictor


def test_scores_are_the_training_proportions(train: Split, test: Split, ask: Callable[..., list[Prediction]]) -> None:
    for prediction in ask(fitted(train, 0), test, "none"):
        assert prediction.scores == pytest.approx(SHARES)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_are_drawn_in_these_proportions(
    train: Split, test: Split, ask: Callable[..., list[Prediction]], seed: int
) -> None:
    counts = Counter(prediction.label for prediction in ask(fitted(train, seed), test, "none"))
    seen = [label for label, share in SHARES.items() if share]
    assert set(counts) == set(seen)
    assert chisquare([counts[label] for label in seen], [4000 * SHARES[label] for label in seen]).pvalue > 0.001


def test_a_draw_depends_on_seed_and_utterance_only(
    train: Split, test: Split, ask: Callable[..., list[Prediction]]
) -> None:
    together = {p.utterance_id: p.label for p in ask(fitted(train, 3), test, "none")}
    predictor = fitted(train, 3)
    for dialogue in reversed(test.dialogues[:50]):
        for view in reversed(list(dialogue.views("none", test.label_set))):
            (prediction,) = predictor.predict(view)
            assert prediction.label == together[prediction.utterance_id]


def test_seeds_draw_independently(train: Split, test: Split, ask: Callable[..., list[Prediction]]) -> None:
    first, second = ([p.label for p in ask(fitted(train, seed), test, "none")] for seed in (0, 1))
    same = sum(a == b for a, b in zip(first, second, strict=True))
    expected = 4000 * sum(share**2 for share in SHARES.values())
    assert chisquare([same, 4000 - same], [expected, 4000 - expected]).pvalue > 0.001
