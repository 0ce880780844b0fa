"""Words that name emotions: families of one feeling each, and finding or masking them in a text. Knows no corpus.

A family has names, noun and adjective of the feeling, and kin: other parts of speech and the close synonyms that
somebody who describes a scene would write. What is only seen is no such word: a smile, tears, a raised voice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

MASK = "[...]"
"""What stands in the place of a masked word."""


@dataclass(frozen=True, slots=True)
class Family:
    """Words of one feeling, in lower case."""

    names: tuple[str, ...]
    """A label called by one of them is meant by the others too, where an answer is read."""
    kin: tuple[str, ...]
    """They give the feeling away in a description; which label they mean is a question of the annotation scheme."""


def _family(names: str, kin: str) -> Family:
    return Family(tuple(names.split()), tuple(kin.split()))


FAMILIES = (
    _family(
        "anger angry",
        "angered angering angers angrier angrily annoyance annoyed annoyedly annoying enraged furious furiously "
        "fury hostile hostility indignant indignantly indignation infuriated infuriating irate irately irritable "
        "irritably irritated irritatedly irritation livid mad madly outrage outraged rage raging resentful "
        "resentment wrath",
    ),
    _family(
        "disgust disgusted",
        "disgustedly disgusting disgustingly disgusts distaste loathing repelled repulsed repulsion repulsive "
        "revolted revolting revulsion sickened",
    ),
    _family(
        "excitement excited",
        "enthusiasm enthusiastic enthusiastically excitedly exciting thrilled thrilling",
    ),
    _family(
        "fear fearful afraid scared",
        "alarmed anxiety anxious anxiously apprehension apprehensive concern concerned dread dreading feared "
        "fearfully fearing fears fright frightened frightening horrified horror nervous nervously nervousness "
        "panic panicked panicking panicky scare scares scarily scary terrified terrifying terror worried "
        "worriedly worry worrying",
    ),
    _family(
        "frustration frustrated",
        "exasperated exasperatedly exasperation frustrating frustratedly frustratingly frustrations",
    ),
    _family(
        "happiness happy",
        "cheerful cheerfully cheerfulness cheery contented contentedly contentment glad gladly gladness happier "
        "happiest happily pleased",
    ),
    _family(
        "joy joyful",
        "amused amusedly amusement delight delighted delightedly delightful ecstatic ecstatically elated "
        "elation euphoria euphoric glee gleeful gleefully joyfully joyous joyously joys jubilant jubilantly "
        "jubilation merrily merriment merry overjoyed",
    ),
    _family("neutral", "emotionless emotionlessly neutrality neutrally unemotional unemotionally"),
    _family("peaceful", "calm calmly calmness peacefully peacefulness serene serenely serenity tranquil tranquilly"),
    _family("powerful", "powerfully"),
    _family(
        "sadness sad",
        "dejected dejectedly dejection depressed depressing despair despairing despondent disappointed "
        "disappointedly disappointment distraught distress distressed gloom gloomily gloomy grief grieving "
        "heartbroken melancholic melancholy miserable miserably misery mournful mournfully sadden saddened "
        "saddening sadder saddest sadly sorrow sorrowful sorrowfully unhappily unhappiness unhappy upset",
    ),
    _family(
        "surprise surprised",
        "amazed amazement astonished astonishing astonishment astounded bewildered bewilderment shock shocked "
        "shocking startled startling stunned surprises surprising surprisingly",
    ),
)
"""In alphabetical order."""


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How many texts contain words: a description that names an emotion may give the answer away."""

    n_texts: int
    n_with_any: int
    """Texts that contain at least one."""
    counts: tuple[tuple[str, int], ...]
    """Texts that contain each word that was found, the most frequent first."""

    @property
    def share(self) -> float:
        """Fraction of the texts with at least one word."""
        return self.n_with_any / self.n_texts if self.n_texts else 0.0


@dataclass(frozen=True)
class EmotionWords:
    """The words of all families, and names of labels: found in any case, and in compounds: "angry-looking", "joy's"."""

    names: frozenset[str] = frozenset()
    """Of labels, as in the data and as shown in prompts. One of several words is looked for as these words in a row."""

    def count(self, texts: Collection[str]) -> WordCounts:
        """Returns how many texts contain each word."""
        found = [{" ".join(_split(match[0])) for match in self._find(text)} for text in texts]
        counts = Counter(word for words in found for word in words)
        return WordCounts(len(texts), sum(map(bool, found)), tuple(sorted(counts.items(), key=lambda c: (-c[1], c[0]))))

    def mask(self, text: str) -> str:
        """Returns a text with `MASK` in the place of each word, so that none is left to count."""
        return self._pattern.sub(lambda match: MASK if self._is_one(match) else match[0], text)

    def _find(self, text: str) -> Iterator[re.Match[str]]:
        return filter(self._is_one, self._pattern.finditer(text))

    def _is_one(self, match: re.Match[str]) -> bool:
        return match["phrase"] is not None or match[0].casefold() in self._words

    @cached_property
    def _words(self) -> frozenset[str]:
        ours = {word for family in FAMILIES for word in (*family.names, *family.kin)}
        return frozenset(ours | {words[0] for words in map(_split, self.names) if len(words) == 1})

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Finds every word, but the words of a longer name together, with anything between them that is not a mask.

        Letters and digits make a word; an underscore is a mark, as in "_joy_" and "no_emotion".
        """
        phrases = sorted((words for words in map(_split, self.names) if len(words) > 1), key=len, reverse=True)
        either = "|".join(r"(?:[^\w\[]|_)+".join(map(re.escape, words)) for words in phrases) or "(?!)"
        return re.compile(rf"(?P<phrase>(?<![^\W_])(?:{either})(?![^\W_]))|[^\W_]+", re.IGNORECASE)


def _split(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", text.casefold()))
