"""Keeping what libraries remark while they train off the terminal; what goes wrong is raised, not logged."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils import logging


@contextmanager
def quietly() -> Iterator[None]:
    """Hides progress bars, log lines and warnings of transformers and peft."""
    settings: Any = logging
    before, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
            warnings.filterwarnings("ignore", "fan_in_fan_out", UserWarning)  # peft sets right what GPT-2 needs
            yield
    finally:
        settings.set_verbosity(before)
        if bars:
            settings.enable_progress_bar()
