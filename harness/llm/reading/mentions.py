"""Label words in a text: its words, the names and word forms of a label set, and where a text names or negates one.

Private to `harness.llm.reading.parsing`. Knows no model and no status.

Word forms are the names of one family of words: noun and adjective of the same feeling ("anger", "angry"). Its kin are
not: which of them a label covers is a question of the annotation scheme (is rage anger or disgust at this corpus?), and
answering it here would move scores between systems. "happy" is therefore no form of "joy". Nor are words on -ing: what
is surprising need not surprise the speaker.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.data.emotion_words import FAMILIES
from harness.prompting.label_names import LabelNames


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


SENTENCE_ENDS = frozenset(".!?;\n。")
LISTING = frozenset((",", "/", "|", "&", "+", "and", "or", "nor", "and/or"))
"""What may stand between the members of a list."""

NEGATORS = _set(
    "not no never without neither nor cannot non hardly unlike except excluding "
    "dont doesnt didnt isnt wasnt arent cant wouldnt aint ≠ ¬ != ~~"
)
"""Beside every word on -n't."""
NEGATING_PAIRS = frozenset(
    tuple(pair.split("-"))
    for pair in _set(
        "rather-than other-than instead-of lack-of absence-of opposite-of devoid-of free-of free-from far-from "
        "anything-but except-for fails-to"
    )
)
NO_NEGATION = frozenset(("only", "just", "merely", "simply", "doubt", "question"))
"""After a negator these take it back: "not only joy", "no doubt joy"."""
BETWEEN = _set(
    "a about an any anything as at be been being believe by call case clearly could definitely describe determine "
    "emotion evidence exactly example express expressed expresses expressing expression feel feeling feels full "
    "genuine he he's here hint identify if indicate indication indicative is it it's its just kind know label "
    "like longer look looks merely much necessarily of particularly purely quite read real really say seem seems "
    "sense she she's show showing shows sign signs simply so some speaker suggest sure tell that the their they "
    "they're think this to too trace truly utterance very was we were what whether would"
)
"""Words across which a negator reaches the label: "I don't think the emotion is joy"."""
AUXILIARIES = _set("is was are were does do did would could can should seems")

RULED_OUT = _set("absent excluded incorrect ruled unlikely wrong")
"""Said of a label after an auxiliary: "joy is ruled out"."""

CUES = _set(
    "answer category class classification conclusion emotion emotional feeling label mood output prediction response "
    "result sentiment state"
)
"""Words that announce an answer."""
CONNECTORS = frozenset((":", "=", "->", "=>", "→", "is", "was", "seems", "appears", "would", "as"))
LEADS = _set(
    "a an be best better categorized categorised classified clearly definitely described label labeled labelled "
    "likely mainly most mostly of one primarily probably simply strong the therefore to"
) | {"\n"}
"""Words between the announcement and the label."""
REACH = 12
"""Tokens that any search to the left may cross, so that reading stays linear."""

_TOKEN = re.compile(r"[^\W_]+(?:['_-][^\W_]+)*|->|=>|!=|~~|[.!?;:,\n=/|&+≠¬→。]")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u00b4`", "'''' ")
_COURTESY = re.compile(
    r"\b(?:i'm|i am|i'd be|i would be|i'll be|i will be|we're|we are) (?:so |very |more than |always )?"
    r"[a-z]+ (?:to|i|that|not|we|so)\b|\b[a-z]+ to (?:help|assist)\b"
)
"""The model speaking of itself: "I'm afraid I ...", "happy to help"."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place where a text names a label."""

    label: str
    start: int
    """Number of its first token."""
    stop: int
    """Number of the token behind it."""
    form: bool
    """Whether a word form stands there and not the label's name."""
    negated: bool = False
    """Whether the text says that it is not this label."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What stands for the labels of one set."""

    words: Mapping[tuple[str, ...], tuple[str, bool]]
    """(label, whether it is only a word form) by the words that name it."""
    literal: Mapping[str, str]
    """Label by its folded name as a whole, for names without any word, such as an emoji."""
    longest: int
    """Words of the longest name."""


def fold(text: str) -> str:
    """Returns a text in NFKC and without case, with straight apostrophes.

    What is longer than 64 characters without a space stays as it is: it is no label, and long runs of combining marks
    take quadratic time.
    """
    if not text.isascii():
        text = re.sub(r"\S+", _normalise, text)
    return text.casefold().translate(_APOSTROPHES)


def tokenize(folded: str) -> list[str]:
    """Returns the words and the marks that matter, in order; other punctuation, markdown and emoji are dropped.

    A word keeps its inner hyphens, apostrophes and underscores: "anger-free" is not "anger".
    """
    return _TOKEN.findall(_COURTESY.sub(" ", folded))


def is_word(token: str) -> bool:
    """Returns whether a token is a word or number."""
    return token[0].isalnum()


@lru_cache(maxsize=64)
def build_lexicon(names: LabelNames) -> Lexicon:
    """Returns what stands for each label: names as shown first, then the label set's own, then forms of either.

    What would stand for two labels at one level stands for none, and no level takes a word from the one before.
    """
    shown = dict(zip(names.label_set.labels, names.shown, strict=True))
    levels: list[dict[tuple[str, ...], set[str]]] = [defaultdict(set) for _ in range(3)]
    for label, name in shown.items():
        own = _words(name), _words(label)
        levels[0][own[0]].add(label)
        levels[1][own[1]].add(label)
        for family in FAMILIES:
            if any(words == (word,) for words in own for word in family.names):
                for word in family.names:
                    levels[2][(word,)].add(label)
    words: dict[tuple[str, ...], tuple[str, bool]] = {}
    taken: set[tuple[str, ...]] = {()}
    for form, level in zip((False, False, True), levels, strict=True):
        words |= {key: (min(labels), form) for key, labels in level.items() if key not in taken and len(labels) == 1}
        taken |= set(level)
    literal = {fold(name).strip(): label for label, name in shown.items()}
    return Lexicon(words, literal, max(map(len, words), default=0))


def find_mentions(tokens: Sequence[str], lexicon: Lexicon) -> list[Mention]:
    """Returns every mention of a label, in order, the longest name first where several begin."""
    found: list[Mention] = []
    position = 0
    while position < len(tokens):
        for length in range(lexicon.longest, 0, -1):
            entry = lexicon.words.get(tuple(tokens[position : position + length]))
            if entry is not None:
                stop = position + length
                inherited = bool(found) and found[-1].negated and _is_list(tokens, found[-1].stop, position)
                negated = inherited or _is_negated(tokens, position, stop)
                found.append(Mention(entry[0], position, stop, entry[1], negated))
                position = stop
                break
        else:
            position += 1
    return found


def find_stated(tokens: Sequence[str], mentions: Sequence[Mention]) -> list[Mention]:
    """Returns the mentions that state an answer, in order.

    Announced ones do ("Emotion: joy", "the answer is joy"), and only the final ones if any is called that. If the text
    begins with a label as a sentence of its own ("Joy. She laughs."), so do all such sentences. Lists state nothing.
    """
    stated: list[Mention] = []
    final: list[Mention] = []
    opens = bool(mentions) and mentions[0].start == 0 and _stands_alone(tokens, mentions[0])
    for members in _group_lists(tokens, mentions):
        mention = members[0]
        if mention.negated or len({member.label for member in members}) > 1:
            continue
        announced = _announcement(tokens, mention.start)
        if announced is not None or (opens and _stands_alone(tokens, mention)):
            stated.append(mention)
        if announced:
            final.append(mention)
    return final or stated


def _group_lists(tokens: Sequence[str], mentions: Sequence[Mention]) -> list[list[Mention]]:
    """Returns mentions with those that they are listed with: "joy, anger or fear"."""
    groups: list[list[Mention]] = []
    for mention in mentions:
        if groups and _is_list(tokens, groups[-1][-1].stop, mention.start):
            groups[-1].append(mention)
        else:
            groups.append([mention])
    return groups


def _stands_alone(tokens: Sequence[str], mention: Mention) -> bool:
    """Returns whether a mention is a whole sentence, and no question."""
    before, after = tokens[max(mention.start - 1, 0) : mention.start], tokens[mention.stop : mention.stop + 1]
    return SENTENCE_ENDS.issuperset(before) and (SENTENCE_ENDS - {"?"}).issuperset(after)


def _normalise(piece: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", piece[0]) if len(piece[0]) <= 64 else piece[0]


def _words(name: str) -> tuple[str, ...]:
    return tuple(token for token in _TOKEN.findall(fold(name)) if is_word(token))


def _is_list(tokens: Sequence[str], start: int, stop: int) -> bool:
    """Returns whether nothing but commas, slashes, "and" and "or" stand between two mentions."""
    return 0 < stop - start <= 3 and all(token in LISTING for token in tokens[start:stop])


def _is_negated(tokens: Sequence[str], start: int, stop: int) -> bool:
    """Returns whether a negator reaches a mention from the left, or directly follows it ("joy isn't ...")."""
    for position in range(start - 1, max(start - 1 - REACH, -1), -1):
        if _negates(tokens, position):
            return True
        if tokens[position] not in BETWEEN:
            break
    after = stop + (stop < len(tokens) and tokens[stop] in AUXILIARIES)
    after += after > stop and after < len(tokens) and tokens[after] == "be"
    if after < len(tokens) and _negates(tokens, after) and (after > stop or tokens[after].endswith("n't")):
        return True
    if after > stop and after < len(tokens) and tokens[after] in RULED_OUT:
        return True
    verdict = stop + (stop < len(tokens) and tokens[stop] in (":", "?", "=", "->"))
    return tokens[verdict : verdict + 1] in (["no"], ["false"]) and not any(
        map(is_word, tokens[verdict + 1 : verdict + 2])
    )


def _negates(tokens: Sequence[str], position: int) -> bool:
    token, following = tokens[position], tuple(tokens[position + 1 : position + 3])
    if token in NEGATORS or token.endswith("n't"):
        return not (NO_NEGATION.intersection(following[:1]) or following == ("a", "doubt"))
    return (tokens[position - 1] if position else "", token) in NEGATING_PAIRS


def _announcement(tokens: Sequence[str], start: int) -> bool | None:
    """Returns whether what announces a mention is called final; None where nothing announces it."""
    position, limit = start - 1, start - 1 - REACH
    while position > max(limit, 0) and tokens[position] in LEADS:
        position -= 1
    if position < 1 or tokens[position] not in CONNECTORS:
        return None
    for cue in range(position - 1, max(position - 1 - REACH, -1), -1):
        if tokens[cue] in SENTENCE_ENDS:
            return None
        if tokens[cue] in CUES:
            return "final" in tokens[max(cue - 2, 0) : cue]
    return None
