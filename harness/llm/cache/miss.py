"""Why a request is not in the response store: the nearest stored request, and where it differs. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FIRST = ("identity.backend", "identity.model", "identity.revision", "identity.adapter")
_LAST = ("form", "prompt", "mode", "choices", "constrained", "premise")
"""The order in which fields are explained; between the two the rest of the identity, after them the decoding."""

_CONTEXT = 30
"""Characters shown on each side of the place where two long texts begin to differ."""


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a request is not answered from the store: where the nearest stored one differs."""

    field: str
    """First differing field of the key, in the order in which they are explained."""
    wanted: str
    """Its value in the request; of a long text, what is around the first difference."""
    stored: str
    """The same of the nearest stored request."""
    differing: tuple[str, ...]
    """Every differing field, `field` first."""
    created: str
    """When the nearest stored answer was given, UTC."""


def find_miss(wanted: Mapping[str, Any], stored: Iterable[tuple[Mapping[str, Any], str]]) -> Miss | None:
    """Returns where a request differs from the nearest stored one; None where it is stored, or nothing is.

    Nearest is the one with the same rendered prompt, else of the same back end and model, then with the fewest
    differing fields, then with the longest common beginning and end of the prompt, then the latest.

    Args:
        wanted: key fields of the request.
        stored: key fields of every stored request and when it was answered.
    """
    flat = _flatten(wanted)
    best: tuple[tuple[Any, ...], list[str], dict[str, Any]] | None = None
    for fields, created in stored:
        other = _flatten(fields)
        names = [name for name in sorted(flat.keys() | other.keys(), key=_order) if flat.get(name) != other.get(name)]
        if not names:
            return None
        same_model = not any(name.startswith("identity.") for name in names)
        rank = ("prompt" not in names, same_model, -len(names), _n_shared(flat["prompt"], other["prompt"]), created)
        if best is None or rank > best[0]:
            best = rank, names, other
    if best is None:
        return None
    (*_, created), names, other = best
    shown = _around_difference(flat.get(names[0]), other.get(names[0]))
    short = tuple(name.removeprefix("identity.") for name in names)
    return Miss(short[0], *shown, short, created)


def _flatten(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields with one level of names, such as 'identity.model' and 'decoding.seed'."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _order(name: str) -> tuple[int, str]:
    if name in _FIRST:
        return _FIRST.index(name), name
    if name.startswith("identity."):
        return len(_FIRST), name
    return len(_FIRST) + 1 + (_LAST.index(name) if name in _LAST else len(_LAST)), name


def _n_shared(a: str, b: str) -> int:
    """Returns the number of characters that two texts share at their beginning and at their end."""
    n_begin = _n_common(a, b)
    return n_begin + min(_n_common(a[::-1], b[::-1]), min(len(a), len(b)) - n_begin)


def _n_common(a: str, b: str) -> int:
    """Returns the length of the common beginning, by halving: comparing slices is quicker than comparing letters."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _around_difference(a: object, b: object) -> tuple[str, str]:
    """Returns two values in repr; long texts are cut to what is around the first difference, and say where that is."""
    if not (isinstance(a, str) and isinstance(b, str)) or max(len(a), len(b)) <= 2 * _CONTEXT:
        return repr(a), repr(b)
    at = _n_common(a, b)
    begin = max(0, at - _CONTEXT)

    def cut(text: str) -> str:
        shown = text[begin : at + _CONTEXT]
        before, after = "..." if begin else "", "..." if at + _CONTEXT < len(text) else ""
        return f"character {at + 1} of {len(text)}: {before + shown + after!r}"

    return cut(a), cut(b)
