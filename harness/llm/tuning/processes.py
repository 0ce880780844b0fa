"""The processes that train together, as `accelerate launch` starts them; one alone is the first, and never waits."""

from __future__ import annotations

import os

from harness.errors import ConfigError


def n_processes() -> int:
    """Returns how many processes were launched together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Returns whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_all() -> None:
    """Waits until all processes are here.

    Raises:
        ConfigError: they were launched together, and cannot reach each other.
    """
    if n_processes() > 1:
        import torch
        from accelerate import PartialState

        together = PartialState(cpu=not torch.cuda.is_available())  # it does not find out by itself
        if together.num_processes != n_processes():
            raise ConfigError(
                f"{n_processes()} processes were launched, and each sees {together.num_processes}; train in one, or "
                "launch as many as there are GPUs: accelerate launch --num_processes N -m harness tune ..."
            )
        together.wait_for_everyone()
