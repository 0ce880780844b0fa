"""What videos show, in words: one description an utterance, from a file of the user's own, and a test for leaks.

Each line of the file is one JSON object: {"utterance_id": "dia0_utt3", "description": "A man lifts his cup."}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.data.files import UniqueIds, parse_json, read_lines
from harness.data.text import matching_words
from harness.errors import DataError


def read_descriptions(path: Path) -> dict[str, str]:
    """Returns descriptions by utterance id, in the order of the file.

    Raises:
        DataError: the file cannot be read or has none, a line is no such object, or an id occurs twice.
    """
    ids = UniqueIds("utterance")
    descriptions = {}
    for line, text in read_lines(path):
        fields = parse_json(text, path, line).fields(("utterance_id", "description"))
        utterance_id = ids.claim(fields["utterance_id"].text(), fields["utterance_id"])
        descriptions[utterance_id] = fields["description"].text()
    if not descriptions:
        raise DataError.at(path, "the file is empty; expected one description a line")
    return descriptions


@dataclass(frozen=True, slots=True)
class LabelWords:
    """How many descriptions contain the name of a label: such a description may give the answer away."""

    n_descriptions: int
    counts: tuple[tuple[str, int], ...]
    """Descriptions that contain each name, in the order asked."""
    n_with_any: int
    """Descriptions that contain at least one."""

    @property
    def share(self) -> float:
        """Fraction of the descriptions with at least one name."""
        return self.n_with_any / self.n_descriptions if self.n_descriptions else 0.0


def label_words(descriptions: Mapping[str, str], names: Iterable[str]) -> LabelWords:
    """Returns how often descriptions contain names of labels, as whole words in any case.

    Descriptions are worth 12 points of weighted F1 on MELD to DialogueLLM, and nobody else has seen those.

    Args:
        descriptions: by utterance id.
        names: of the labels, as in the data and as shown in prompts; repeated ones count once. A name of several words
            is looked for as these words in a row.

    Source: DialogueLLM, arXiv 2310.11374v4, Table 4 (71.81 with descriptions, 59.75 without).
    """
    texts = [f" {' '.join(matching_words(text))} " for text in descriptions.values()]
    wanted = {name: f" {' '.join(matching_words(name))} " for name in names}
    found = [[wanted[name] in text for name in wanted] for text in texts]
    counts = tuple((name, sum(row[i] for row in found)) for i, name in enumerate(wanted))
    return LabelWords(len(texts), counts, sum(any(row) for row in found))
