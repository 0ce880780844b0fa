"""Exemplars: from train only, as many as asked for, in a known order, equal for equal seeds, blind to gold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import Split, load_dataset
from harness.data.text import matching_words
from harness.errors import ConfigError
from harness.prompting import Exemplar, Line, Window, name_labels
from harness.prompting.exemplars import ExemplarPlan, Selection
from harness.prompting.selection import Selector, build_selector
from harness.schema import Dialogue, DialogueView, LabelSet, Utterance

SAMPLE = load_dataset("sample", None)
TRAIN, TEST = SAMPLE.split("train"), SAMPLE.split("test")
NAMES = name_labels(TRAIN.label_set, {label: f"the {label}" for label in TRAIN.label_set.labels})
TARGETS = [
    (view, position)
    for dialogue in TEST.dialogues
    for view in dialogue.views("past", TEST.label_set)
    for position in view.target_positions
]
WINDOW = Window()
SELECTIONS: tuple[Selection, ...] = ("fixed", "random", "bm25", "embedding")


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """Hashed letters: a small encoder that a test can afford."""
    counts = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in zip(counts, texts, strict=True):
        for a, b in pairwise(text):
            row[(ord(a) * 31 + ord(b)) % 64] += 1
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def select(plan: ExemplarPlan, train: Split = TRAIN, seed: int = 0, window: Window = WINDOW) -> Selector:
    return build_selector(train, name_labels(train.label_set, "canonical"), window, plan, seed, encode)


def ids(exemplars: Sequence[Exemplar]) -> list[str]:
    return [exemplar.utterance_id for exemplar in exemplars]


@pytest.mark.parametrize("n", [0, 1, 5, 10])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_shots(selection: Selection, n: int) -> None:
    selector = build_selector(TRAIN, NAMES, Window(), ExemplarPlan(n, selection=selection), encode=encode)
    for exemplars in selector.select_many(TARGETS):
        assert len(set(ids(exemplars))) == len(exemplars) == n
        for exemplar in exemplars:
            assert exemplar.label == f"the {TRAIN.gold[exemplar.utterance_id]}"
            assert exemplar.scene.history == exemplar.scene.future == ()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_each_label_has_its_exemplars_the_first_of_the_set_too(selection: Selection, n: int) -> None:
    assert TRAIN.label_set.index("neutral") == 0
    for exemplars in select(ExemplarPlan(n, per_class=True, selection=selection)).select_many(TARGETS[:20]):
        assert Counter(exemplar.label for exemplar in exemplars) == dict.fromkeys(TRAIN.label_set.labels, n)


def test_fixed_ones_are_the_first() -> None:
    gold = list(TRAIN.gold.items())
    assert ids(select(ExemplarPlan(5)).select(*TARGETS[0])) == [utterance_id for utterance_id, _ in gold[:5]]
    first = {label: utterance_id for utterance_id, label in reversed(gold)}
    expected = sorted(first.values(), key=list(TRAIN.gold).index)
    assert ids(select(ExemplarPlan(1, per_class=True)).select(*TARGETS[0])) == expected


def test_given_ones_stand_as_given() -> None:
    given = ("train-003-09", "train-001-02", "train-002-01")
    selector = select(ExemplarPlan(3, utterance_ids=given))
    assert ids(selector.select(*TARGETS[0])) == list(given)
    with pytest.raises(ConfigError, match="'test-001-01' is no annotated utterance of split train; expected ids like"):
        select(ExemplarPlan(1, utterance_ids=("test-001-01",)))


def test_random_ones_follow_the_seed_and_mix_the_labels() -> None:
    plan = ExemplarPlan(2, per_class=True, selection="random")
    drawn = [ids(select(plan, seed=seed).select(*TARGETS[0])) for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1]
    assert len({tuple(d) for d in drawn}) == 3
    orders = [[e.label for e in select(plan, seed=seed).select(*TARGETS[0])] for seed in range(5)]
    assert len({tuple(order) for order in orders}) == 5
    state = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]  # noqa: NPY002
    select(plan, seed=7)
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index,union-attr]  # noqa: NPY002


def test_random_ones_are_drawn_evenly() -> None:
    counts = Counter(
        i
        for seed in range(400)
        for i in ids(select(ExemplarPlan(17, selection="random"), seed=seed).select(*TARGETS[0]))
    )
    n = len(TRAIN.gold)
    assert len(counts) == n
    expected = 400 * 17 / n  # 20 draws of each; 6 standard deviations
    assert max(abs(count - expected) for count in counts.values()) < 6 * np.sqrt(expected)


@pytest.mark.parametrize("selection", ["bm25", "embedding"])
def test_the_nearest_stands_last(selection: Selection) -> None:
    """A target that repeats a text of train gets that text, next to the question."""
    selector = select(ExemplarPlan(4, selection=selection))
    by_class = select(ExemplarPlan(2, per_class=True, selection=selection))
    texts = {utterance.id: utterance.text for utterance in TRAIN.utterances()}
    for dialogue in TRAIN.dialogues[:6]:
        (view,) = dialogue.views("full", TRAIN.label_set)
        for position in view.target_positions:
            text = matching_words(view.utterances[position].text)
            if len(set(text)) > 3:
                assert matching_words(selector.select(view, position)[-1].scene.target.text) == text
                assert matching_words(texts[by_class.select(view, position)[-1].utterance_id]) == text


@pytest.mark.parametrize("selection", SELECTIONS)
def test_one_by_one_as_together(selection: Selection) -> None:
    selector = select(ExemplarPlan(1, per_class=True, selection=selection))
    assert [selector.select(*target) for target in TARGETS[:30]] == selector.select_many(TARGETS[:30])


@pytest.mark.parametrize("selection", ["bm25", "embedding"])
def test_retrieval_reads_the_text_of_the_target_alone(selection: Selection) -> None:
    selector = select(ExemplarPlan(5, selection=selection))
    view, position = TARGETS[7]
    lonely = DialogueView(
        "other", (replace(view.utterances[position], id="x", speakers=("Nobody",)),), (0,), view.label_set
    )
    assert selector.select(view, position) == selector.select(lonely, 0)


def test_history_of_exemplars_and_their_speakers() -> None:
    window = Window(n_utterances=5, future=True, speakers="masked")
    (exemplar,) = select(ExemplarPlan(1, utterance_ids=("train-003-04",), n_history=2), window=window).select(
        *TARGETS[0]
    )
    assert exemplar.scene.history == (
        Line("Speaker B", "I'm four minutes early, Mr Clarke."),
        Line("Speaker A", "Felt late."),
    )
    assert exemplar.scene.target == Line("Speaker B", "Well, I'm flattered that you missed me.")
    assert exemplar.scene.future == ()


@pytest.mark.parametrize("split", ["dev", "test"])
def test_other_splits_are_refused(split: str) -> None:
    for selection in SELECTIONS:
        with pytest.raises(ConfigError, match=f"from split '{split}': expected 'train'"):
            select(ExemplarPlan(1, selection=selection), train=SAMPLE.split(split))


def small_train() -> Split:
    labels = LabelSet(("neutral", "joy", "fear"))
    spoken = [("a b", "neutral"), ("c d", "joy"), ("  ", "fear"), ("e f", None), ("g h", "joy"), ("i", "fear")]
    utterances = tuple(Utterance(f"u{i}", ("Ann",), text, label) for i, (text, label) in enumerate(spoken))
    return Split("small", "train", (Dialogue("d", utterances),), labels)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_too_few_candidates(selection: Selection) -> None:
    """Blank texts and utterances without a label are no candidates."""
    assert sorted(ids(select(ExemplarPlan(4, selection=selection), small_train()).select(*TARGETS[0]))) == [
        "u0",
        "u1",
        "u4",
        "u5",
    ]
    with pytest.raises(ConfigError, match="n=5; small, split train, has 4 to choose from"):
        select(ExemplarPlan(5, selection=selection), small_train())
    with pytest.raises(ConfigError, match="n=2 of each label; small, split train, has 1 of 'neutral'"):
        select(ExemplarPlan(2, per_class=True, selection=selection), small_train())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": -1}, "n=-1; expected 0 or more"),
        ({"n_history": -1}, "n_history=-1"),
        ({"selection": "balanced"}, r"selection='balanced'; expected one of \['fixed', .*'random' with per_class"),
        ({"n": 1, "utterance_ids": ("a", "b")}, "expected n=2 different ids"),
        ({"n": 2, "utterance_ids": ("a", "a")}, "expected n=1 different ids"),
        ({"n": 1, "utterance_ids": ("a",), "selection": "random"}, "selection 'fixed'"),
        ({"n": 1, "utterance_ids": ("a",), "per_class": True}, "per_class off"),
    ],
)
def test_plans_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExemplarPlan(**settings)  # type: ignore[arg-type]


def test_vectors_need_an_encoder() -> None:
    with pytest.raises(ConfigError, match="needs an encoder"):
        build_selector(TRAIN, NAMES, Window(), ExemplarPlan(1, selection="embedding"))


def test_one_shot_of_meld(data_dir: Path) -> None:
    """One of each label, the first ones; neutral is the first label of MELD's set."""
    train = load_dataset("meld", data_dir).split("train")
    exemplars = select(ExemplarPlan(1, per_class=True), train).select(*TARGETS[0])
    assert [(e.utterance_id, e.label) for e in exemplars] == [
        ("dia0_utt0", "neutral"),
        ("dia0_utt4", "surprise"),
        ("dia0_utt10", "fear"),
        ("dia1_utt1", "sadness"),
        ("dia2_utt2", "joy"),
        ("dia2_utt6", "disgust"),
        ("dia6_utt5", "anger"),
    ]
