"""Frozen records that every other room speaks in: dialogue, labels, prediction, run. Standard library only."""

from harness.schema.dialogue import Dialogue, DialogueView, Utterance, UtteranceView
from harness.schema.generation import Generation
from harness.schema.labels import LabelSet
from harness.schema.prediction import STATUSES, Prediction

__all__ = ["STATUSES", "Dialogue", "DialogueView", "Generation", "LabelSet", "Prediction", "Utterance", "UtteranceView"]
