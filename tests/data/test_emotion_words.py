"""Words that name emotions: which ones, found where, and nothing left of them once they are masked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.emotion_words import FAMILIES, MASK, EmotionWords

WORDS = EmotionWords()
ALL = [word for family in FAMILIES for word in (*family.names, *family.kin)]


@pytest.mark.parametrize(
    "word",
    (
        "happy",
        "happily",
        "joyful",
        "angrily",
        "sadly",
        "sadness",
        "scared",
        "disgusted",
        "surprised",
        "Shocked",
        "FEARFUL",
    ),
)
def test_what_a_describer_would_write_is_found(word: str) -> None:
    assert WORDS.mask(f"He looks {word}, then leaves.") == f"He looks {MASK}, then leaves."


@pytest.mark.parametrize(
    "text",
    [
        "She smiles with tears on her cheeks, laughing; he frowns, shouts and slams the door.",
        "An enjoyable, overjoying crowd at the Sadler concert, madeira in hand, contents of a fearsome-ly small box.",
        "He crosses his arms, raises his brows and opens his mouth wide.",
    ],
)
def test_what_is_only_seen_stays(text: str) -> None:
    assert WORDS.mask(text) == text
    assert WORDS.count([text]).n_with_any == 0


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("an angry-looking man", "an [...]-looking man"),
        ("half-sad, half‑happy", "half-[...], half‑[...]"),
        ("joy's face, anger’s hand", "[...]'s face, [...]’s hand"),
        ("*joy* _anger_ **Fear**.", "*[...]* _[...]_ **[...]**."),
        ("Sad? SAD! (sad) “sad”", "[...]? [...]! ([...]) “[...]”"),
        ("sad\nsad", "[...]\n[...]"),
        ("joy/anger", "[...]/[...]"),
    ],
)
def test_words_are_found_in_any_case_and_in_compounds(text: str, masked: str) -> None:
    assert WORDS.mask(text) == masked


def test_names_of_labels_are_found_too_and_several_words_in_a_row() -> None:
    words = EmotionWords(frozenset({"no_emotion", "Powerful", "zest", "joy"}))
    texts = ["There is no emotion.", "No, emotion runs high; JOY!", "a powerful zest", "no sign of emotion", "A cup."]
    assert [words.mask(text) for text in texts] == [
        "There is [...].", "[...] runs high; [...]!", "a [...] [...]", "no sign of emotion", "A cup.",
    ]  # fmt: skip
    counts = words.count(texts)
    assert counts.counts == (("no emotion", 2), ("joy", 1), ("powerful", 1), ("zest", 1))
    assert (counts.n_texts, counts.n_with_any, counts.share) == (5, 3, 0.6)


def test_a_text_counts_once_for_each_of_its_words() -> None:
    assert WORDS.count(["sad, sad and angry", "Sad", "a cup"]).counts == (("sad", 2), ("angry", 1))
    assert WORDS.count([]).share == 0.0


def test_no_word_is_in_two_families_or_twice_in_one() -> None:
    assert len(ALL) == len(set(ALL))
    assert all(word.isalpha() and word == word.lower() for word in ALL)


PIECES = st.one_of(
    st.sampled_from(
        [*ALL, *map(str.upper, ALL), MASK, "no", "emotion", " ", "-", "'", "’", "_", "[", "]", ".", "\n", "é"]
    ),
    st.text(max_size=4),
)


@given(st.lists(PIECES).map("".join), st.frozensets(st.lists(PIECES, max_size=4).map("".join), max_size=4))
def test_nothing_is_left_to_count_once_masked(text: str, names: frozenset[str]) -> None:
    words = EmotionWords(names)
    masked = words.mask(text)
    assert words.count([masked]).n_with_any == 0
    assert words.mask(masked) == masked
    assert (masked == text) == (words.count([text]).n_with_any == 0)


@given(st.sampled_from(ALL), st.sampled_from(["", " ", ".", "-", "_", "'s", "\u2019s", "\n", "!"]), st.booleans())
def test_every_word_is_masked_wherever_it_ends(word: str, end: str, shout: bool) -> None:
    text = (word.upper() if shout else word) + end
    assert WORDS.mask(f"a {text}") == f"a {MASK}{end}"
