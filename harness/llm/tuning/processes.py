"""The processes that train together, as `accelerate launch` starts them; one alone is the first, and never waits."""

from __future__ import annotations

import os


def n_processes() -> int:
    """Returns how many processes were launched together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Returns whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_all() -> None:
    """Waits until all processes are here."""
    if n_processes() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()
