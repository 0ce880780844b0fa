"""Utterance encoders: utterances to arrays of floats, kept on disk. Knows no predictor and no metric."""

from harness.features.encoder import ENCODERS, Encoder, EncoderName, EncoderSpec, register_encoder
from harness.features.features import Features
from harness.features.source import FeatureSource

__all__ = ["ENCODERS", "Encoder", "EncoderName", "EncoderSpec", "FeatureSource", "Features", "register_encoder"]
