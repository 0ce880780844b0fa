"""Canonical forms of utterance text, for hashing and for matching. Predictors get the text as released."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u0092": "'"})
_NOT_WORD = re.compile(r"[^\w\s']|_")


def canonical_text(text: str) -> str:
    """Returns text in NFC, with straight quotes and single spaces: equal for copies that differ in encoding only.

    Copies of MELD carry the apostrophe as U+2019, as the cp1252 byte 0x92 or as the control character U+0092.
    """
    return " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).split())


def matching_words(text: str) -> tuple[str, ...]:
    """Returns the lower-case words of a text, apostrophes kept, for finding verbatim repetitions."""
    return tuple(_NOT_WORD.sub(" ", canonical_text(text).lower()).split())
