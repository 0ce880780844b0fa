"""Utterance encoders: texts to arrays of floats. Knows no dialogue and no label."""
