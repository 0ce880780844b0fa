"""The user's cache folder: what can be made or asked again, and may hold text of corpora. Never below `results/`."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns ERC_CACHE_DIR, else `erc-harness` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache).

    Nothing is made.
    """
    own = os.environ.get("ERC_CACHE_DIR")
    if own:
        return Path(own)
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "erc-harness"
