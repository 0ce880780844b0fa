"""What a written answer means: a label, or the status that says why there is none. The one place that decides it.

The rules are tried in the order of this list; the first that applies decides, and its name is kept with the prediction.
No rule guesses: what names no label, or two, has no label. No rule knows a neutral label, a nearest label or a default.

call-failed      the call failed for good                                                    failed
content-filter   the provider withheld the answer                                            refused
open-reasoning   the answer ends inside <think>                                              unparsed
empty            no word is written, beside reasoning                                        unparsed
label            the first line is a label and nothing else, and the next no other one       ok
json             {"label": "joy"}: the fields that announce a label agree on one             ok, else unparsed
statement        "Emotion: joy", "the answer is joy", "Joy. ...": all such statements agree  ok
refusal          "I'm sorry, but I can't", "as an AI", "cannot be determined"                refused
first-line       the first line names one label in a sentence                                ok
text             the first line names none, and the whole answer names one                   ok
several-labels   two labels are named, and none is stated                                    unparsed
negated          only labels that are ruled out ("not joy")                                  unparsed
unfinished       one label is named, in what the token limit left unfinished                 truncated
no-label         no label is named                                                           unparsed

A label is named by whole words: the name as shown, the label set's own name, or a word form of either (see
`mentions`); the rule then ends in "+form". A negated mention does not count. Reasoning in <think> tags is
removed first. What the token limit cut off and has no label is truncated, under the rule that would have made it
unparsed. Of a cut answer the unfinished sentence states nothing and an unfinished line names nothing: the next word
might have been "or".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.llm.reading.mentions import (
    CUES,
    NEGATORS,
    SENTENCE_ENDS,
    Lexicon,
    Mention,
    build_lexicon,
    find_mentions,
    find_stated,
    fold,
    is_word,
    tokenize,
)
from harness.llm.request import Response
from harness.prompting.label_names import LabelNames
from harness.schema.prediction import Status

_BARE = re.compile(r"[\s!-/:-@\[-`{-~]*")
"""A line without a word: blank, a rule, the fence of a code block."""
_BULLET = re.compile(r"\s*(?:\d{1,2}[.)]|\(?\w\))\s")
"""The number of a line in a list, "1. " or "(b) "."""
_REASONING = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_TASK = (
    "answer|analy[sz]e|assess|assign|assist|categori[sz]e|choose|classify|comply|continue|decide|describe|detect|determine|"
    "engage|fulfil|help|identify|infer|interpret|label|make|predict|process|provide|respond|say|tell"
)
_REFUSAL = re.compile(
    r"\A\W*(?:(?:i'm |i am )?(?:\w+ )?sorry(?:\W*\Z|,? (?:but|i|as)\b)|"
    rf"(?:i apologi[sz]e|my apologies),? (?:but|i|for)\b|"
    rf"i (?:don't|do not) know\b|(?:unable|impossible|not possible) to (?:{_TASK})\b)"
    r"|\bas an (?:ai|artificial intelligence)\b|\bas a (?:large )?language model\b"
    rf"|\bi(?:'m| am)? (?:\w+ )?(?:can't|cannot|can not|couldn't|could not|won't|will not|unable to|not able to) "
    rf"(?:\w+ )?(?:{_TASK})\b(?! but\b)"
    r"|\b(?:can't|cannot|can not|could not) be (?:\w+ )?(?:classified|detected|determined|identified|inferred|known)\b"
    rf"|\bit(?:'s| is) (?:impossible|not possible) to (?:{_TASK})\b"
    r"|\b(?:insufficient|not enough) (?:context|information)\b"
)
"""Read in folded text; openings of an apology at the start only, since utterances are quoted too."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer means."""

    label: str | None
    """A name of the label set, exactly where the status is "ok"."""
    status: Status
    rule: str
    """Name of the rule that decided."""


def read_answer(response: Response, names: LabelNames) -> Reading:
    """Returns the label that a written answer gives, or the status that says why there is none.

    Takes time linear in the length of the answer. The order of the label set plays no part.
    """
    if response.finish == "error":
        return Reading(None, "failed", "call-failed")
    if response.finish == "filter":
        return Reading(None, "refused", "content-filter")
    cut = response.finish == "length"
    text = without_reasoning(response.text or "")
    if text is None:
        return _no_label("open-reasoning", cut)
    lines = [line for line in text.splitlines() if not _BARE.fullmatch(line)]
    if not lines:
        return _no_label("empty", cut)
    lexicon = build_lexicon(names)
    return (
        _read_first_lines(lines, lexicon, cut)
        or _read_json(text, lexicon, cut)
        or _read_sentences(fold("\n".join(lines)), lexicon, cut)
    )


def without_reasoning(text: str) -> str | None:
    """Returns a text without its reasoning; None where that never ends.

    A closing tag alone ends a reasoning that the prompt had opened.
    """
    kept: list[str] = []
    position, inside = 0, False
    for tag in _REASONING.finditer(text):
        if not inside:
            kept.append(text[position : tag.start()])
        if tag[1] and not inside:
            kept.clear()
        position, inside = tag.end(), not tag[1]
    return None if inside else "".join(kept) + text[position:]


def is_refusal(text: str) -> bool:
    """Returns whether a written answer says that it gives none."""
    return _REFUSAL.search(fold(text)) is not None


def _no_label(rule: str, cut: bool) -> Reading:
    return Reading(None, "truncated" if cut else "unparsed", rule)


def _label(rule: str, mentions: Iterable[Mention]) -> Reading:
    """Returns the label of mentions that agree."""
    named = list(mentions)
    return Reading(named[0].label, "ok", rule + "+form" * all(mention.form for mention in named))


def _read_json(text: str, lexicon: Lexicon, cut: bool) -> Reading | None:
    """Reads the first JSON object, or an answer that is a JSON list."""
    start = text.find("{")
    if start < 0:
        start = text.find("[") if re.match(r"\s*(?:```\w*\s*)?\[", text) else -1
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder(object_pairs_hook=lambda pairs: pairs).raw_decode(text, start)
    except (ValueError, RecursionError):
        return None  # not JSON: the other rules read it as text
    if text[start] == "{":
        value = [field for key, field in value if re.split(r"[^a-z]+", fold(key))[-1] in CUES]
    readings = [_read_label(field, lexicon) if isinstance(field, str) else None for field in _flatten(value)]
    read = [reading for reading in readings if reading is not None]
    if not read or len(read) < len(readings) or len({reading.label for reading in read}) > 1:
        return _no_label("json", cut)
    form = all(reading.rule.endswith("+form") for reading in read)
    return Reading(read[0].label, "ok", "json" + "+form" * form)


def _flatten(values: Sequence[Any]) -> list[Any]:
    """Returns values with lists among them opened."""
    return [inner for value in values for inner in (value if isinstance(value, list) else [value])]


def _read_first_lines(lines: Sequence[str], lexicon: Lexicon, cut: bool) -> Reading | None:
    """Reads a first line that is a label; base models go on writing below it, but a list of labels is no answer."""
    first, *others = (_read_label(line, lexicon) for line in lines[:2])
    if first is not None and any(other is not None and other.label != first.label for other in others):
        return _no_label("several-labels", cut)
    return first


def _read_label(line: str, lexicon: Lexicon) -> Reading | None:
    """Reads a line that is a label and nothing else but punctuation and the number of the line in a list."""
    folded = fold(_BULLET.sub("", line, count=1) if _BULLET.match(line) else line)
    literal = lexicon.literal.get(folded.strip())
    if literal is not None:
        return Reading(literal, "ok", "label")
    tokens = tokenize(folded)
    entry = lexicon.words.get(tuple(filter(is_word, tokens)))
    if entry is None or not NEGATORS.isdisjoint(token for token in tokens if not is_word(token)):
        return None
    return Reading(entry[0], "ok", "label" + "+form" * entry[1])


def _read_sentences(folded: str, lexicon: Lexicon, cut: bool) -> Reading:
    """Reads an answer in sentences."""
    tokens = tokenize(folded)
    mentions = find_mentions(tokens, lexicon)
    end = len(tokens)
    while cut and end and tokens[end - 1] not in SENTENCE_ENDS:
        end -= 1
    stated = find_stated(tokens[:end], [mention for mention in mentions if mention.stop <= end])
    if stated:
        return _label("statement", stated) if _agree(stated) else _no_label("several-labels", cut)
    if _REFUSAL.search(folded):
        return Reading(None, "refused", "refusal")
    named = [mention for mention in mentions if not mention.negated]
    if not named:
        return _no_label("negated" if mentions else "no-label", cut)
    line_end = tokens.index("\n") if "\n" in tokens else len(tokens)
    first = [mention for mention in named if mention.stop <= line_end]
    if not _agree(first or named):
        return _no_label("several-labels", cut)
    if cut and (not first or line_end == len(tokens)):
        return _no_label("unfinished", cut)
    return _label("first-line", first) if first else _label("text", named)


def _agree(mentions: Sequence[Mention]) -> bool:
    return len({mention.label for mention in mentions}) == 1
