"""A language model that is asked without examples."""

from harness.predictors import PredictorCard, register_predictor
from harness.predictors.prompted import AskedPredictor


@register_predictor(
    "zero-shot",
    card=PredictorCard(
        family="llm",
        context="past",
        deterministic=True,
        summary="A language model asked about each utterance, without examples; -P model=... names it.",
    ),
)
class ZeroShot(AskedPredictor):
    """Instruction, labels, context and the utterance; learns nothing."""
