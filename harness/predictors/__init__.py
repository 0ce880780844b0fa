"""The predictor interface, its registry and its conformance suite. Knows no metric and no store."""

from harness.predictors.card import PredictorCard
from harness.predictors.predictor import PREDICTORS, Predictor, PredictorSpec, register_predictor

__all__ = ["PREDICTORS", "Predictor", "PredictorCard", "PredictorSpec", "register_predictor"]
