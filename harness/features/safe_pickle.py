"""Reading pickles of arrays without running what is in them.

A pickle is a program. This reader admits the few names that numpy arrays are made of, and nothing else: built-in
containers, texts and numbers need no name at all. Whatever else is named is refused before it is looked up.
"""

from __future__ import annotations

import codecs
import importlib
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError


def _encode_latin(text: str, encoding: str) -> bytes:
    """Returns bytes that Python 2 and protocol 2 wrote as text; only that one encoding is admitted."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding!r}, expected 'latin1'")
    return codecs.encode(text, "latin1")


def _plain_defaultdict(*_: Any) -> dict[Any, Any]:
    """Returns a dictionary whose default is forgotten."""
    return {}


_CORE: Any = importlib.import_module("numpy._core")

ADMITTED: dict[tuple[str, str], Any] = (
    {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode_latin,
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "defaultdict"): _plain_defaultdict,
    }
    | {
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (list, set, frozenset, bytearray)
    }
    | {
        (f"numpy.{core}.{module}", name): value
        for core in ("core", "_core")
        for module, name, value in (
            ("multiarray", "_reconstruct", _CORE.multiarray._reconstruct),
            ("multiarray", "scalar", _CORE.multiarray.scalar),
            ("numeric", "_frombuffer", _CORE.numeric._frombuffer),
        )
    }
)
"""What a pickle may name, by module and name: what arrays and scalars of numpy are rebuilt with."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, and only numpy arrays, dict, list, str and numbers are admitted"
            )
        return ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside of itself")


def load_pickle(path: Path) -> Any:
    """Returns what a pickle of arrays holds.

    Raises:
        DataError: it is no pickle, is cut short, or asks for anything but arrays, containers, texts and numbers.
    """
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a broken pickle raises whatever its operations raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError.at(path, f"not read: {reason}; save arrays as .npz instead") from error
