"""Loading pretrained weights with transformers: one line for whatever goes wrong, and nothing on the terminal else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.errors import ModelError


@contextmanager
def load_quietly(what: str) -> Iterator[None]:
    """Turns whatever loading raises into a ModelError of one line, and keeps progress bars off the terminal."""
    import transformers

    logging: Any = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except Exception as error:  # many libraries read these files, each with errors of its own; the cause is kept
        reason = " ".join(str(error).split())
        raise ModelError(f"{what} cannot be loaded: {type(error).__name__}: {reason}; give whole weights") from error
    finally:
        if shown:
            logging.enable_progress_bar()
