"""Settings that graph systems share. Importing it loads no torch."""

from harness.errors import ConfigError

WIDEST = 200
"""Utterances on one side of a window: more than the longest dialogue of any corpus here; every slot costs memory."""


def check_window(past: int, future: int) -> None:
    """Raises ConfigError unless both sides of a window are 0 to `WIDEST` utterances."""
    if not (0 <= past <= WIDEST and 0 <= future <= WIDEST):
        raise ConfigError(f"past {past!r}, future {future!r}: expected 0 to {WIDEST} utterances of each")
