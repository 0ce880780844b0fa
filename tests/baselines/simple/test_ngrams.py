"""What the two TF-IDF systems share: items, settings, storage, and corners of the label set."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.simple.ngrams import Item, NgramClassifier, collect_items
from baselines.simple.tfidf_logreg import TfidfLogreg
from baselines.simple.tfidf_svm import TfidfSvm
from harness.data import Dataset, Split
from harness.errors import ConfigError, DataError
from harness.schema import LabelSet, Prediction

Ask = Callable[..., list[Prediction]]
SYSTEMS = pytest.mark.parametrize("system", [TfidfSvm, TfidfLogreg])


def fitted(system: Callable[..., NgramClassifier], train: Split, **params: Any) -> NgramClassifier:
    predictor = system(**params)
    predictor.fit(train, train)
    return predictor


def test_items_hold_the_target_and_no_more_history_than_asked_for(make_split: Callable[..., Split]) -> None:
    split = make_split([("Ann", "One.", "joy"), ("Bob", "TWO", None), ("Ann", "Three", "joy"), ("Bob", "Four", "joy")])
    *_, view = split.dialogues[0].views("past", split.label_set)
    assert collect_items(view, 0) == [Item("four", "", ("bob",))]
    assert collect_items(view, 2) == [Item("four", "two\nthree", ("bob",))]
    assert collect_items(view, 9) == [Item("four", "one.\ntwo\nthree", ("bob",))]
    (full,) = split.dialogues[0].views("full", split.label_set)
    assert [item.text for item in collect_items(full, 1)] == ["one.", "three", "four"]


@SYSTEMS
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"history": -1}, "parameter 'history': got -1, expected 0 or a positive"),
        ({"c": 0}, "parameter 'c': got 0, expected a finite number above 0"),
        ({"c": -2.5}, "parameter 'c': got -2.5"),
        ({"c": float("inf")}, "parameter 'c': got inf"),
        ({"c": float("nan")}, "parameter 'c': got nan"),
        ({"class_weight": "heavy"}, "parameter 'class_weight': got 'heavy', expected 'balanced' or None"),
    ],
)
def test_a_bad_value_is_refused_by_name(system: type[NgramClassifier], params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        system(**params)


@SYSTEMS
@pytest.mark.parametrize("params", [{}, {"history": 0}, {"history": 2, "speaker": True, "class_weight": None}])
def test_what_was_saved_predicts_exactly_the_same_when_loaded(
    system: type[NgramClassifier], params: dict[str, Any], sample: Dataset, ask: Ask, tmp_path: Path
) -> None:
    before = fitted(system, sample.split("train"), **params)
    before.save(tmp_path)
    after = system(**params)
    after.load(tmp_path)
    assert ask(after, sample.split("test")) == ask(before, sample.split("test"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.npz", "terms.json"]
    assert json.loads((tmp_path / "terms.json").read_text())["labels"] == list(sample.card.label_set.labels)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype == np.float64 for name in arrays)


@SYSTEMS
def test_learning_twice_gives_the_same_weights_to_the_last_bit(system: type[NgramClassifier], sample: Dataset) -> None:
    first, second = (fitted(system, sample.split("train")) for _ in range(2))
    assert np.array_equal(first._weights, second._weights)
    assert np.array_equal(first._intercept, second._intercept)


@SYSTEMS
def test_copies_of_a_release_with_other_quotes_are_the_same_to_it(
    system: type[NgramClassifier], make_split: Callable[..., Split], ask: Ask
) -> None:
    curly, straight = (
        make_split([("A", f"I{q}m fine", "neutral"), ("B", f"Don{q}t!", "anger"), ("A", f"It{q}s fun", "joy")])
        for q in ("\u2019", "'")
    )
    assert ask(fitted(system, curly), straight) == ask(fitted(system, straight), curly)


def test_utterances_further_back_than_the_history_change_nothing_and_nearer_ones_do(
    sample: Dataset, make_split: Callable[..., Split], ask: Ask
) -> None:
    predictor = fitted(TfidfLogreg, sample.split("train"), history=1)
    said = [("A", "Is the hot water off again?", None), ("B", "Really?", None), ("A", "Oh no!", "neutral")]
    far = [("A", "What a lovely surprise!", None), *said[1:]]
    near = [said[0], ("B", "It was fine when I got up.", None), said[2]]
    (plain,), (with_far,), (with_near,) = (ask(predictor, make_split(lines)) for lines in (said, far, near))
    assert with_far == plain
    assert with_near.scores != plain.scores


def test_speakers_count_only_if_asked_for(sample: Dataset, make_split: Callable[..., Split], ask: Ask) -> None:
    name = sample.split("train").dialogues[0].utterances[0].speakers[0]
    known, unknown = (make_split([(who, "Oh no!", "neutral")]) for who in (name, "Nobody"))
    without = fitted(TfidfLogreg, sample.split("train"))
    assert ask(without, known) == ask(without, unknown)
    heeding = fitted(TfidfLogreg, sample.split("train"), speaker=True)
    assert ask(heeding, known)[0].scores != ask(heeding, unknown)[0].scores


@SYSTEMS
def test_a_label_that_training_never_saw_is_never_predicted(
    system: type[NgramClassifier], make_split: Callable[..., Split], ask: Ask
) -> None:
    train = make_split([("A", "so good so", "joy"), ("B", "so bad so", "anger"), ("A", "so so", "neutral")])
    for prediction in ask(fitted(system, train), make_split([("A", "unheard", "fear"), ("B", "so good", "fear")])):
        assert prediction.label != "fear"
        assert prediction.scores is None or prediction.scores["fear"] == 0


@SYSTEMS
def test_one_label_cannot_be_told_from_nothing(system: type[NgramClassifier], make_split: Callable[..., Split]) -> None:
    with pytest.raises(DataError, match="handmade, split 'train': expected two labels or more"):
        fitted(system, make_split([("A", "yes", "joy"), ("B", "yes", "joy")]))


@SYSTEMS
def test_a_corpus_without_any_history_is_learned_all_the_same(
    system: type[NgramClassifier], make_split: Callable[..., Split], ask: Ask
) -> None:
    train = make_split([("A", "so good so", "joy")], [("B", "so bad so", "anger")])
    predictor = fitted(system, train, history=3)
    assert [prediction.label for prediction in ask(predictor, train)] == ["joy", "anger"]


@SYSTEMS
def test_the_order_of_the_label_set_changes_no_prediction(
    system: type[NgramClassifier], make_split: Callable[..., Split], ask: Ask
) -> None:
    lines = [("A", "so good so", "joy"), ("B", "so bad so", "anger"), ("A", "so so", "neutral"), ("B", "oh", "fear")]
    names = ("neutral", "joy", "anger", "fear")
    one, other = (make_split(lines, labels=LabelSet(order)) for order in (names, names[::-1]))
    assert [p.label for p in ask(fitted(system, one), one)] == [p.label for p in ask(fitted(system, other), other)]


def test_importing_the_systems_loads_no_scikit_learn() -> None:
    code = "import sys, baselines.simple.tfidf_svm, baselines.simple.tfidf_logreg; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
