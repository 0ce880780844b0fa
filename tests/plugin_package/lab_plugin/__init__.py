"""A predictor and a dataset from outside."""

from pathlib import Path

from harness import (
    DatasetCard,
    Dialogue,
    DialogueView,
    LabelSet,
    Prediction,
    Predictor,
    PredictorCard,
    Utterance,
    register_dataset,
    register_predictor,
)


@register_predictor("lab/exclaims", card=PredictorCard(family="simple", deterministic=True))
class Exclaims(Predictor):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return [Prediction(u.id, "joy" if u.text.endswith("!") else "neutral") for u in dialogue.targets]


@register_dataset(
    "lab/echo",
    card=DatasetCard(
        title="Echo", label_set=LabelSet(("neutral", "joy"), "neutral"), language="en", license="CC0-1.0",
        source="made up", folder="echo", files=(), redistributable=True, obtain="it is made up", bundled=Path(),
    ),
)  # fmt: skip
def read_echo(folder: Path) -> dict[str, list[Dialogue]]:
    def dialogue(name: str, i: int) -> Dialogue:
        said = [("Hello.", "neutral"), ("Hello!", "joy"), ("Oh.", "neutral" if i % 3 else "joy")]
        return Dialogue(name, tuple(Utterance(f"{name}_{j}", ("A",), *pair) for j, pair in enumerate(said)))

    return {split: [dialogue(f"{split}{i}", i) for i in range(12)] for split in ("train", "dev", "test")}
