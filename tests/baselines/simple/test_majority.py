"""The floor: its label, its ties, and the scores that arithmetic demands of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.metrics import accuracy_score, f1_score

from baselines.simple.majority import Majority
from harness.data import Split, load_dataset
from harness.schema import Prediction


def test_every_target_gets_the_most_frequent_training_label(
    make_split: Callable[..., Split], ask: Callable[..., list[Prediction]]
) -> None:
    train = make_split([("A", "a", "joy"), ("B", "b", "anger"), ("A", "c", "anger"), ("B", "d", None)])
    test = make_split([("A", "a", "joy"), ("B", "b", None), ("A", "c", "neutral")], name="t")
    majority = Majority()
    majority.fit(train, train)
    assert ask(majority, test, "none") == [Prediction("t0-0", "anger"), Prediction("t0-2", "anger")]


def test_of_equally_frequent_labels_the_first_of_the_set_is_taken(
    make_split: Callable[..., Split], ask: Callable[..., list[Prediction]]
) -> None:
    train = make_split([("A", "a", "fear"), ("B", "b", "joy"), ("A", "c", "fear"), ("B", "d", "joy")])
    majority = Majority()
    majority.fit(train, train)
    assert {prediction.label for prediction in ask(majority, train, "none")} == {"joy"}


@pytest.mark.parametrize(
    ("dataset", "label", "n", "total"),
    [
        ("meld", "neutral", 1256, 2610),  # counts of the released test files, by command-line counting
        ("emorynlp", "Neutral", 288, 984),
    ],
)
def test_it_scores_what_the_label_counts_say(
    data_dir: Path, ask: Callable[..., list[Prediction]], dataset: str, label: str, n: int, total: int
) -> None:
    corpus = load_dataset(dataset, data_dir)
    majority = Majority()
    majority.fit(corpus.split("train"), corpus.split("dev"))
    test = corpus.split("test")
    predicted = [prediction.label for prediction in ask(majority, test, "none")]
    gold = list(test.gold.values())
    share = n / total
    assert set(predicted) == {label}
    assert accuracy_score(gold, predicted) == pytest.approx(share)
    # One label only: recall 1 and precision `share` there, nothing elsewhere, weighted by `share`.
    weighted = f1_score(gold, predicted, average="weighted", zero_division=0)
    assert weighted == pytest.approx(share * 2 * share / (1 + share))
