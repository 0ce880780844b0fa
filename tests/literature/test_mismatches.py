"""Why a published value does not compare with one of ours: every reason alone, and all the ones that nobody states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.literature import Literature, PublishedValue, Setting, find_mismatches, load_literature

OURS = Setting("tales", "test", 3, 20, "weighted_f1", "dev", "words@r1", ("text",), 5)


@pytest.fixture
def literature(write_results: Callable[..., Path]) -> Literature:
    return load_literature([write_results()])


@pytest.fixture
def value(literature: Literature) -> PublishedValue:
    return literature.values_of(literature.table("lab/main"))[0]


def test_nothing_forbids_to_compare_the_same_thing(literature: Literature, value: PublishedValue) -> None:
    assert find_mismatches(value, OURS, literature) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "tales-2"}, "release: tales, 5 / 5 / 5 dialogues; here tales-2"),
        ({"split": "dev"}, "split: test; here dev"),
        ({"n_labels": 4}, "label set: 3 labels; here 4 labels"),
        ({"n_utterances": 1_021}, "split size: 20 utterances; here 1,021 utterances"),
        ({"metric": "accuracy"}, "metric: weighted_f1; here accuracy"),
        ({"selection": "none"}, "epoch selection: dev; here none"),
        ({"selection": "unknown"}, "epoch selection: dev; here not stated"),
        ({"reads": "minilm"}, "features: words; here minilm"),
        ({"reads": ""}, "features: words; here its own"),
        ({"modalities": ("text", "audio")}, "modalities: text; here text+audio"),
        ({"n_seeds": 1}, "seeds: 5; here 1"),
    ],
)
def test_each_difference_is_named_alone(
    literature: Literature, value: PublishedValue, changes: dict[str, object], said: str
) -> None:
    (mismatch,) = find_mismatches(value, replace(OURS, **changes), literature)
    assert mismatch.text == said


def test_what_is_not_stated_counts(literature: Literature) -> None:
    *_, other, _ = literature.values_of(literature.table("lab/main"))
    assert (other.system, other.protocol) == ("second", "tales-old")
    found = {mismatch.kind: mismatch.published for mismatch in find_mismatches(other, OURS, literature)}
    assert found == {
        "release": "tales of old", "label set": "not stated", "split size": "not stated",
        "epoch selection": "not stated", "seeds": "not stated",
    }  # fmt: skip


def test_a_published_meld_value_on_other_features_and_chosen_on_test() -> None:
    literature = load_literature()
    (value,) = [v for v in literature.find(corpus="meld", system="dialogue-rnn") if v.table == "own-papers/text"]
    ours = Setting("meld", "test", 7, 2610, "weighted_f1", "dev", "minilm", ("text",), 5)
    assert [m.kind for m in find_mismatches(value, ours, literature)] == ["epoch selection", "features", "seeds"]
    tuned = replace(ours, reads="hf-tuned:roberta-large@r1-r4")
    re_run = next(v for v in literature.find(corpus="meld", system="dialogue-rnn") if v.table == "conv-emotion/cosmic")
    assert [m.kind for m in find_mismatches(re_run, tuned, literature)] == ["seeds"]
