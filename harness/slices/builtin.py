"""The slices of this distribution. Each one sorts utterances by one thing that may make them hard.

What a slice declares that it needs is there when it is called: `Slice.divide` has looked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from harness.data.overlap import LONG, is_shared, words_said
from harness.data.text import matching_words
from harness.schema import Dialogue
from harness.slices.slice import Sources, register_slice

PLACES = (1, 2, 4, 8, 16, 32)
"""Where ranges of positions begin."""
WORDS = (0, 4, 8, 16, 32)
"""Where ranges of words begin; 0 of them, if all is punctuation."""
UTTERANCES = (1, 4, 8, 16, 32)
"""Where ranges of lengths of dialogues begin. None of these limits has a source: they are ours, powers of two."""
PEOPLE = (1, 2, 3, 4)
"""Where ranges of numbers of speakers begin."""


def emotion_shifts(dialogue: Dialogue) -> list[bool | None]:
    """Returns for each utterance whether its gold label differs from the speaker's last one in the dialogue.

    None for an utterance without gold, and for one whose speaker has no annotated utterance before it. Several speakers
    of one utterance count as a speaker of their own.

    Source: "emotion shift" in table 3 of Poria et al. 2019 (MELD, ACL), whose counts these are; emotional inertia is
    the absence of one.
    """
    last: dict[str, str] = {}
    shifts: list[bool | None] = []
    for utterance in dialogue.utterances:
        speaker = utterance.view().speaker
        before = last.get(speaker)
        shifts.append(None if before is None or utterance.label is None else before != utterance.label)
        if utterance.label is not None:
            last[speaker] = utterance.label
    return shifts


def ranges(starts: tuple[int, ...]) -> tuple[str, ...]:
    """Returns the names of ranges of whole numbers: "0 to 3", "4 to 7", ..., the last one open: "32+"."""
    closed = (str(a) if b == a + 1 else f"{a} to {b - 1}" for a, b in pairwise(starts))
    return (*closed, f"{starts[-1]}+")


def range_of(number: int, starts: tuple[int, ...]) -> str:
    """Returns the name of the range that holds a number."""
    return ranges(starts)[bisect_right(starts, number) - 1]


@register_slice(
    "emotion-shift",
    meaning="whether the gold label differs from the speaker's last one in the dialogue, if there is one",
    values=("shift", "inertia"),
)
def emotion_shift(sources: Sources) -> Iterator[str | None]:
    for dialogue in sources.split.dialogues:
        shifts = emotion_shifts(dialogue)
        for position in dialogue.labelled():
            shift = shifts[position]
            yield None if shift is None else "shift" if shift else "inertia"


@register_slice("position", meaning="place in the dialogue, the first utterance is 1", values=ranges(PLACES))
def position_in_dialogue(sources: Sources) -> Iterator[str]:
    return (range_of(position + 1, PLACES) for _, position in sources.targets())


@register_slice("utterance-length", meaning="words of the utterance", values=ranges(WORDS))
def utterance_length(sources: Sources) -> Iterator[str]:
    for dialogue, position in sources.targets():
        yield range_of(len(matching_words(dialogue.utterances[position].text)), WORDS)


@register_slice("dialogue-length", meaning="utterances of the dialogue", values=ranges(UTTERANCES))
def dialogue_length(sources: Sources) -> Iterator[str]:
    return (range_of(len(dialogue.utterances), UTTERANCES) for dialogue, _ in sources.targets())


@register_slice("speakers", meaning="people who speak in the dialogue", values=ranges(PEOPLE))
def number_of_speakers(sources: Sources) -> Iterator[str]:
    for dialogue, _ in sources.targets():
        people = {name for utterance in dialogue.utterances for name in utterance.speakers}
        yield range_of(len(people), PEOPLE)


@register_slice(
    "turn", meaning="first or later turn of the speaker; a turn lasts until somebody else speaks",
    values=("first", "later"),
)  # fmt: skip
def turn_of_speaker(sources: Sources) -> Iterator[str]:
    for dialogue, position in sources.targets():
        speakers = [utterance.view().speaker for utterance in dialogue.utterances[: position + 1]]
        own = speakers.pop()
        while speakers and speakers[-1] == own:
            speakers.pop()
        yield "later" if own in speakers else "first"


@register_slice(
    "rare-label",
    meaning="whether the gold label has less than half of an even share of the training labels",
    values=("rare", "common"),
    needs=("train",),
)
def rare_label(sources: Sources) -> Iterator[str]:
    assert sources.train is not None
    counts = sources.train.label_counts()
    even = sum(counts.values()) / len(counts)
    return ("rare" if counts[label] < even / 2 else "common" for label in sources.split.gold.values())


@register_slice(
    "seen-in-train",
    meaning=f"whether an utterance of train has the same words; 'short' if fewer than {LONG}, alike by chance",
    values=("seen", "seen, short", "new"),
    needs=("train",),
)
def seen_in_train(sources: Sources) -> Iterator[str | None]:
    assert sources.train is not None
    known = words_said([sources.train])
    for dialogue, position in sources.targets():
        words = matching_words(dialogue.utterances[position].text)
        seen = "seen" if len(words) >= LONG else "seen, short"
        yield (seen if words in known else "new") if words else None


@register_slice(
    "other-corpus",
    meaning=f"whether another corpus has half or more of the dialogue's utterances of {LONG} words or more, if any",
    values=("shared", "own"),
    needs=("others",),
)
def in_other_corpus(sources: Sources) -> Iterator[str | None]:
    assert sources.others is not None
    known = words_said(sources.others)
    for dialogue in sources.split.dialogues:
        shared = is_shared(dialogue, known)
        for _ in dialogue.labelled():
            yield None if shared is None else "shared" if shared else "own"


@register_slice(
    "video",
    meaning="whether the file of video descriptions has one of the utterance",
    values=("described", "not described"),
    needs=("videos",),
)
def video_description(sources: Sources) -> Iterator[str]:
    assert sources.videos is not None
    for dialogue, position in sources.targets():
        yield "described" if dialogue.utterances[position].id in sources.videos else "not described"
