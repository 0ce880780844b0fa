"""Dialogues from which any trained system must be able to learn: their words tell their labels."""

from __future__ import annotations

import numpy as np

from harness.data import Split
from harness.data.split import SplitName
from harness.schema import Dialogue, LabelSet, Utterance

LABELS = LabelSet(("neutral", "joy", "anger", "fear"), "neutral")


def split(name: SplitName, n_dialogues: int, n_utterances: int = 6, people: str = "AB", fear: bool = False) -> Split:
    """Returns dialogues whose words tell their label; the first has one utterance, the last a speaker with one turn."""
    rng = np.random.default_rng(n_dialogues)
    words = {"neutral": "table", "joy": "lovely", "anger": "awful", "fear": "ghost"}
    allowed = list(words)[: 3 + fear]
    dialogues = []
    for d in range(n_dialogues):
        labels = rng.choice(allowed, size=n_utterances if d else 1)
        speakers = [people[u % 2] for u in range(len(labels))]
        speakers[-1] = "Somebody" if d == n_dialogues - 1 else speakers[-1]
        utterances = tuple(
            Utterance(f"{name}{d}_{u}", (speakers[u],), f"{words[label]} {rng.integers(9)}", None if u == 2 else label)
            for u, label in enumerate(map(str, labels))
        )
        dialogues.append(Dialogue(f"{name}{d}", utterances))
    return Split("lab", name, tuple(dialogues), LABELS)
