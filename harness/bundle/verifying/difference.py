"""What a check finds."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """Something in the bundle that is not what the rest of it says it should be."""

    file: str
    """Relative to the bundle."""
    place: str
    """Where in the file: a table cell, a key, a sentence, a run."""
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: expected {self.expected}, found {self.found}"
