"""Pretrained transformers fine-tuned end to end: they read words, not features."""
