"""The weights that a worker keeps from one run to the next, so that datasets, seeds and shards load them once.

Nothing is kept unless the process says so: it is for processes that make runs of others and nothing else.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Kept:
    is_wanted: bool = False
    key: Hashable = None
    model: Any = None


_kept = _Kept()


def keep_last_model() -> None:
    """Makes this process keep the model that it loaded last."""
    _kept.is_wanted = True


def borrow(key: Hashable, load: Callable[[], Any]) -> Any:
    """Returns the model of a key: the one that is kept, or what `load` returns, after the kept one is let go."""
    if not _kept.is_wanted:
        return load()
    if _kept.model is None or _kept.key != key:
        let_go()
        _kept.key, _kept.model = key, load()
    return _kept.model


def let_go() -> None:
    """Frees what is kept."""
    if _kept.model is None:
        return
    _kept.key = _kept.model = None
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
