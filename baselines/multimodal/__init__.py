"""Systems that are made for several kinds of features: text, audio and visual."""
