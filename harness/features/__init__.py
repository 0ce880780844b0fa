"""Utterance encoders: texts to arrays of floats, kept on disk. Knows no dialogue and no label."""
