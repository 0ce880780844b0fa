"""Systems that see one utterance and nothing around it."""
