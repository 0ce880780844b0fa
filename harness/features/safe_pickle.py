"""Reading pickles of arrays without running what is in them.

A pickle is a program. This reader admits the few names that numpy arrays are made of, and nothing else: built-in
containers, texts and numbers need no name at all. Whatever else is named is refused before it is looked up, and what
could take more memory than the file has bytes is refused before it is made.
"""

from __future__ import annotations

import codecs
import importlib
import mmap
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from harness.bounded import open_regular
from harness.errors import DataError


def _encode_latin(text: str, encoding: str) -> bytes:
    """Returns bytes that Python 2 and protocol 2 wrote as text; only that one encoding is admitted."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding!r}, expected 'latin1'")
    return codecs.encode(text, "latin1")


def _empty_array(_: Any, shape: Any, __: Any) -> Any:
    """Returns the array that a pickle fills from its own bytes; one of another shape is of uninitialised memory."""
    if shape != (0,):
        raise pickle.UnpicklingError(f"an array that begins as {shape!r}, expected (0,)")
    return np.ndarray((0,), np.int8)


def _bytes_only(*content: Any) -> bytearray:
    """Returns a bytearray of bytes: of a number it would be that many zeros."""
    if not all(isinstance(one, bytes) for one in content[:1]) or len(content) > 1:
        raise pickle.UnpicklingError("a bytearray of other things than bytes")
    return bytearray(*content)


class _ArrayName:
    """Stands for the name of arrays, which is all that a pickle needs of them."""


def _plain_defaultdict(*_: Any) -> dict[Any, Any]:
    """Returns a dictionary whose default is forgotten."""
    return {}


_CORE: Any = importlib.import_module("numpy._core")

ADMITTED: dict[tuple[str, str], Any] = (
    {
        ("numpy", "ndarray"): _ArrayName,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode_latin,
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "defaultdict"): _plain_defaultdict,
    }
    | {(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (list, set, frozenset)}
    | {(module, "bytearray"): _bytes_only for module in ("builtins", "__builtin__")}
    | {
        (f"numpy.{core}.{module}", name): value
        for core in ("core", "_core")
        for module, name, value in (
            ("multiarray", "_reconstruct", _empty_array),
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
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check_memo(content)  # a mapped file gives no more than it has, whatever length a pickle claims
            content.seek(0)
            return _ArrayUnpickler(content, encoding="latin1").load()
    except Exception as error:  # a broken pickle raises whatever its operations raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError.at(path, f"not read: {reason}; save arrays as .npz instead") from error


def _check_memo(content: mmap.mmap) -> None:
    """Checks that values are numbered without gaps: room is made for every number up to the largest."""
    n_memoised = 0
    for opcode, argument, _ in pickletools.genops(cast(IO[bytes], content)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            number = int(argument or 0)
            if number > n_memoised + 1:  # protocols 0 and 1 begin with 0 or 1
                raise pickle.UnpicklingError(f"a value numbered {number} after {n_memoised} of them")
            n_memoised = max(n_memoised, number)
        elif opcode.name == "MEMOIZE":
            n_memoised += 1
