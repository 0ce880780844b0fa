"""Recurrent networks over the utterances of a dialogue."""
