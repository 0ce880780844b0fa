from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import Dataset, Split, load_dataset
from harness.data.overlap import MIN_WORDS, drop_shared_dialogues, find_overlap
from harness.errors import DataError
from harness.schema import Dialogue, LabelSet, Utterance

LABELS = LabelSet(("joy", "fear"))


def make_split(*dialogues: list[str], name: str = "test") -> Split:
    return Split(
        "made-up",
        name,  # type: ignore[arg-type]
        tuple(
            Dialogue(f"d{i}", tuple(Utterance(f"d{i}u{j}", ("A",), text, "joy") for j, text in enumerate(texts)))
            for i, texts in enumerate(dialogues)
        ),
        LABELS,
    )


def test_case_quotes_and_punctuation_do_not_hide_a_repetition() -> None:
    pool = make_split(["I\u2019m not sure, that it\u2019s  fine!", "Oh no"], name="train")
    query = make_split(["i'm not sure that it's fine", "oh, NO!", "so what", "..."], ["and this is not in it"])
    overlap = find_overlap([query], [pool])
    assert [(c.min_words, c.n_utterances, c.n_found) for c in overlap.counts] == [(1, 4, 2), (5, 2, 1), (8, 0, 0)]
    assert [c.share for c in overlap.counts] == [0.5, 0.5, 0.0]
    assert (overlap.n_dialogues, overlap.n_shared_dialogues, overlap.dialogue_share) == (2, 1, 0.5)
    assert (overlap.query, overlap.pool) == (("made-up/test",), ("made-up/train",))


def test_half_of_the_long_utterances_make_a_dialogue_shared() -> None:
    known, other = "one two three four five", "six seven eight nine ten"
    pool = make_split([known], name="train")
    for texts, shared in (([known, other], 1), ([known, other, other], 0), (["no", "yes"], 0)):
        assert find_overlap([make_split(texts)], [pool]).n_shared_dialogues == shared


@given(
    st.lists(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), min_size=1, max_size=5), min_size=1),
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), min_size=1, max_size=9),
)
def test_counts_agree_with_a_search_one_by_one(query: list[list[list[str]]], pool: list[list[str]]) -> None:
    overlap = find_overlap(
        [make_split(*([" ".join(words).upper() for words in dialogue] for dialogue in query))],
        [make_split([", ".join(words)], name="train") for words in pool],
    )
    for min_words, count in zip(MIN_WORDS, overlap.counts, strict=True):
        long = [words for dialogue in query for words in dialogue if len(words) >= min_words]
        assert (count.n_utterances, count.n_found) == (len(long), len([words for words in long if words in pool]))


def test_a_dialogue_that_shares_one_long_utterance_goes_as_a_whole() -> None:
    test = make_split(["I\u2019m not sure that it is fine.", "Oh no"])
    train = make_split(["Oh no", "hello"], ["nothing like it", "i'm NOT sure, that it is fine"], ["bye"], name="train")
    kept = drop_shared_dialogues(train, [test])
    assert [dialogue.id for dialogue in kept.dialogues] == ["d0", "d2"]
    assert (kept.dataset, kept.name, kept.label_set) == (train.dataset, train.name, train.label_set)
    assert kept.fingerprint != train.fingerprint
    assert [d.id for d in drop_shared_dialogues(train, [test], min_words=2).dialogues] == ["d2"]
    assert drop_shared_dialogues(train, [test], min_words=8) == train == drop_shared_dialogues(train, [])


def test_nothing_left_to_learn_from_is_an_error() -> None:
    known = make_split(["one two three four five"], ["six seven eight nine ten"])
    with pytest.raises(DataError, match="nothing is left of made-up/test: .* 5 words or more with made-up/test"):
        drop_shared_dialogues(known, [known])
    unlabelled = Dialogue("d9", (Utterance("d9u0", ("A",), "hello", None),))
    with pytest.raises(DataError, match="each of its dialogues with a label"):
        drop_shared_dialogues(replace(known, dialogues=(*known.dialogues, unlabelled)), [known])


WORDS = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(" ".join)
DIALOGUES = st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=6)


@given(DIALOGUES, DIALOGUES, st.integers(1, 4))
def test_what_is_kept_shares_nothing_and_what_goes_does(
    train: list[list[str]], test: list[list[str]], min_words: int
) -> None:
    unseen = {text for dialogue in test for text in dialogue if len(text.split()) >= min_words}
    clean = [dialogue for dialogue in train if not unseen.intersection(dialogue)]
    try:
        kept = drop_shared_dialogues(make_split(*train, name="train"), [make_split(*test)], min_words)
    except DataError:
        assert not clean
    else:
        assert [[u.text for u in dialogue.utterances] for dialogue in kept.dialogues] == clean


@pytest.fixture(scope="module")
def corpora(data_dir: Path) -> dict[str, Dataset]:
    return {name: load_dataset(name, data_dir) for name in ("meld", "emorynlp", "emorynlp-official")}


# Percentages of query utterances found verbatim, by minimum length, and dialogues shared; counted apart over the
# same files with another normalisation, which moves a cell by up to 0.4 points and a dialogue across the line.
@pytest.mark.parametrize(
    ("query", "pool", "percent", "n_shared"),
    [
        ("meld", "meld", (15.5, 0.5, 0.3), None),
        ("meld", "emorynlp-official", (31.4, 20.1, 19.3), 68),
        ("meld", "emorynlp", (27.0, 14.7, 12.8), None),
        ("emorynlp-official", "meld", (28.5, 15.0, 14.4), 17),
        ("emorynlp", "meld", (32.4, 16.1, 15.5), None),
        ("emorynlp-official", "emorynlp-official", (16.8, 0.2, 0.0), None),
    ],
)
def test_friends_corpora_overlap_as_reported(
    corpora: dict[str, Dataset], query: str, pool: str, percent: tuple[float, ...], n_shared: int | None
) -> None:
    overlap = find_overlap([corpora[query].split("test")], [corpora[pool].split("train")])
    assert [100 * count.share for count in overlap.counts] == pytest.approx(percent, abs=0.4)
    if n_shared is not None:
        assert overlap.n_shared_dialogues == pytest.approx(n_shared, abs=1)
        assert overlap.n_dialogues == pytest.approx({"meld": 270, "emorynlp-official": 85}[query], abs=1)


# Dialogues and utterances of the train splits of MELD and EmoryNLP (subset) that share no utterance of 5 words or more
# with dev or test of either: counted apart over the CSV files.
CLEAN = {"meld": (975, 9260), "emorynlp": (561, 6449)}


def test_friends_without_what_is_tested_shares_no_long_utterance(corpora: dict[str, Dataset]) -> None:
    against = [corpora[name].split(split) for name in ("meld", "emorynlp") for split in ("dev", "test")]
    train = [drop_shared_dialogues(corpora[name].split("train"), against) for name in ("meld", "emorynlp")]
    assert {split.dataset: (len(split.dialogues), len(split.gold)) for split in train} == CLEAN
    for query in against:
        assert [count.n_found for count in find_overlap([query], train).counts][1:] == [0, 0]
