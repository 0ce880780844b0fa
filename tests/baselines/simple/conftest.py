"""Small corpora made by hand, and the asking of a predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from harness.data import Dataset, Split, load_dataset
from harness.predictors import Predictor
from harness.schema import Dialogue, LabelSet, Prediction, Utterance
from harness.schema.dialogue import Context

Line = tuple[str, str, str | None]
"""Speaker, text, label."""

LABELS = LabelSet(("neutral", "joy", "anger", "fear"), "neutral")


@pytest.fixture
def make_split() -> Callable[..., Split]:
    """Makes a split of dialogues given as lines (speaker, text, label)."""

    def make(*dialogues: Sequence[Line], name: str = "d", labels: LabelSet = LABELS) -> Split:
        return Split("handmade", "train", tuple(
            Dialogue(f"{name}{d}", tuple(Utterance(f"{name}{d}-{u}", (who,), text, label)
                                         for u, (who, text, label) in enumerate(lines)))
            for d, lines in enumerate(dialogues)
        ), labels)  # fmt: skip

    return make


@pytest.fixture(scope="session")
def sample() -> Dataset:
    """The bundled corpus."""
    return load_dataset("sample")


def ask(predictor: Predictor, split: Split, context: Context = "past") -> list[Prediction]:
    """Returns the predictions for a split, in its order."""
    views = [view for dialogue in split.dialogues for view in dialogue.views(context, split.label_set)]
    return [prediction for answer in predictor.predict_batch(views) for prediction in answer]


@pytest.fixture(name="ask")
def ask_fixture() -> Callable[..., list[Prediction]]:
    """See `ask`."""
    return ask
