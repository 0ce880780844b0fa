"""Verbatim overlap between splits: how much of what is tested could have been read in training, and training without.

Two utterances are the same if their words are, without case and punctuation: `harness.data.text.matching_words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

from harness.data.split import Split
from harness.data.text import matching_words
from harness.errors import DataError
from harness.schema import Dialogue

MIN_WORDS = (1, 5, 8)
"""Lengths in words from which utterances are counted: all with a word, and those too long to be alike by chance."""

LONG = 5
"""Length in words from which a repetition says something: shorter utterances are alike by chance."""


@dataclass(frozen=True, slots=True)
class OverlapCount:
    """Query utterances of a minimum length that are in the pool."""

    min_words: int
    n_utterances: int
    """Query utterances with at least so many words."""
    n_found: int
    """Those of them that the pool holds word for word."""

    @property
    def share(self) -> float:
        """Fraction found, in [0, 1]; 0 if there is no such utterance."""
        return self.n_found / max(1, self.n_utterances)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a pool holds of a query."""

    query: tuple[str, ...]
    """Splits searched for, as "dataset/split"."""
    pool: tuple[str, ...]
    """Splits searched in."""
    counts: tuple[OverlapCount, ...]
    """By minimum length, in the order of `MIN_WORDS`."""
    n_dialogues: int
    """Query dialogues with an utterance of at least five words."""
    n_shared_dialogues: int
    """Those of them with at least half of these utterances in the pool."""

    @property
    def dialogue_share(self) -> float:
        """Fraction of the dialogues shared, in [0, 1]; 0 if there is none."""
        return self.n_shared_dialogues / max(1, self.n_dialogues)


def find_overlap(query: Sequence[Split], pool: Sequence[Split]) -> Overlap:
    """Counts the query's utterances whose words, without case and punctuation, are an utterance of the pool.

    Unannotated utterances count too: a model reads them as context.

    Args:
        query: splits to search for, usually a test split.
        pool: splits to search in, usually all that a model was trained on.
    """
    known = words_said(pool)
    shared = [is_shared(dialogue, known) for split in query for dialogue in split.dialogues]
    dialogues = [
        [(len(words), words in known) for words in (matching_words(u.text) for u in dialogue.utterances)]
        for split in query
        for dialogue in split.dialogues
    ]
    return Overlap(
        query=tuple(f"{split.dataset}/{split.name}" for split in query),
        pool=tuple(f"{split.dataset}/{split.name}" for split in pool),
        counts=tuple(_count(min_words, dialogues) for min_words in MIN_WORDS),
        n_dialogues=sum(verdict is not None for verdict in shared),
        n_shared_dialogues=sum(verdict is True for verdict in shared),
    )


def is_shared(dialogue: Dialogue, known: Set[tuple[str, ...]]) -> bool | None:
    """Returns whether at least half of a dialogue's utterances of `LONG` words or more are known; None without any."""
    long = [words for words in (matching_words(u.text) for u in dialogue.utterances) if len(words) >= LONG]
    return 2 * sum(words in known for words in long) >= len(long) if long else None


def drop_shared_dialogues(split: Split, against: Iterable[Split], min_words: int = LONG) -> Split:
    """Returns a split without the dialogues that share an utterance with other splits, to learn from without a leak.

    A whole dialogue goes, because what is left of it would still be the scene that is tested. Unannotated utterances
    count on both sides: a model reads them as context.

    Args:
        split: what is to be learned from; dialogues that stay are as they were, in their order.
        against: splits that must stay unseen, usually dev and test; not the split itself, which would leave nothing.
        min_words: length in words from which an utterance counts.

    Raises:
        DataError: nothing is left to learn from.
    """
    against = tuple(against)
    unseen = {words for words in words_said(against) if len(words) >= min_words}
    kept = tuple(
        dialogue
        for dialogue in split.dialogues
        if unseen.isdisjoint(matching_words(utterance.text) for utterance in dialogue.utterances)
    )
    if not any(dialogue.labelled() for dialogue in kept):
        others = ", ".join(f"{other.dataset}/{other.name}" for other in against)
        raise DataError(
            f"nothing is left of {split.dataset}/{split.name}: each of its dialogues with a label shares an utterance "
            f"of {min_words} words or more with {others}; learn from another split or corpus"
        )
    return replace(split, dialogues=kept)


def words_said(splits: Iterable[Split]) -> set[tuple[str, ...]]:
    """Returns what is said in splits, annotated or not, as words: see `matching_words`."""
    return {matching_words(utterance.text) for split in splits for utterance in split.utterances()}


def _count(min_words: int, dialogues: Sequence[Sequence[tuple[int, bool]]]) -> OverlapCount:
    found = [is_known for dialogue in dialogues for n_words, is_known in dialogue if n_words >= min_words]
    return OverlapCount(min_words, len(found), sum(found))
