"""A language model that is shown solved examples from the training split."""

from dataclasses import dataclass
from typing import ClassVar

from baselines.llm.exemplified import ExemplifiedPredictor
from harness.data import Split
from harness.predictors import PredictorCard, register_predictor
from harness.predictors.prompt_settings import ModelChoice


@register_predictor(
    "few-shot",
    card=PredictorCard(
        family="llm",
        context="past",
        trained_on=("train",),
        deterministic=True,
        source="one example per class: DialogueLLM, arXiv 2310.11374, released test scripts",
        summary="A language model shown examples from train, one of each class by default; -P model=... names it.",
    ),
)
@dataclass(eq=False)
class FewShot(ModelChoice, ExemplifiedPredictor):
    """Zero-shot with exemplars before the question."""

    family: ClassVar[str] = "few-shot"

    def fit(self, train: Split, dev: Split) -> None:
        """Takes the training split to choose exemplars from; dev is not looked at."""
        self.take_exemplars(train)
