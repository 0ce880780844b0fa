"""From a registered predictor and what the user asked for to an instance: parameters checked, defaults filled in.

The keyword parameters of a constructor are the configuration of its predictor: annotations say what is allowed, and
every value can be written as JSON, because runs are stored and named by it. Knows no particular predictor.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from harness.errors import ConfigError, UnknownNameError
from harness.predictors.predictor import Predictor, PredictorSpec

SEED = "seed"
"""The keyword that receives the seed of the run; it is no parameter."""


def resolve_params(spec: PredictorSpec, given: Mapping[str, object]) -> dict[str, object]:
    """Returns the value of every parameter of a predictor, in the order of its constructor.

    Resolving what was resolved before changes nothing.

    Args:
        spec: the predictor.
        given: values by name, the rest are defaults. Where a parameter is not a plain `str`, a string is first read as
            JSON ('3', 'true', '[1, 2]'; 'none' is null), so that command lines can give any value.

    Raises:
        ConfigError: an unknown parameter, a value that its annotation does not allow, or a constructor that breaks the
            rules: a keyword without default or annotation, or with values that JSON cannot hold.
    """
    allowed = _keywords(spec)
    if SEED in given:
        raise ConfigError(f"{SEED!r} is not a parameter of {spec.name!r}: each run has its own; type: --seed 0 1 2")
    for name in given:
        if name not in allowed:
            raise ConfigError(str(UnknownNameError.of(f"parameter of {spec.name!r}:", name, allowed)))
    return {name: _checked(spec, keyword, given.get(name, keyword.default)) for name, keyword in allowed.items()}


def build_predictor(spec: PredictorSpec, params: Mapping[str, object], seed: int) -> Predictor:
    """Returns a new, unfitted instance.

    Args:
        spec: the predictor.
        params: as for `resolve_params`.
        seed: passed on if the constructor has a keyword `seed`.

    Raises:
        ConfigError: as `resolve_params`, or the constructor refuses a value.
    """
    arguments: dict[str, Any] = resolve_params(spec, params)
    if SEED in inspect.signature(spec.build).parameters:
        arguments[SEED] = seed
    return spec.build(**arguments)


def _keywords(spec: PredictorSpec) -> dict[str, inspect.Parameter]:
    """Returns the parameters of the constructor by name, annotations evaluated, without the seed."""
    try:
        keywords = inspect.signature(spec.build, eval_str=True).parameters
    except NameError as error:
        raise ConfigError(f"an annotation in the constructor of {spec.name!r} cannot be read: {error}") from error
    for name, keyword in keywords.items():
        if keyword.kind not in (keyword.POSITIONAL_OR_KEYWORD, keyword.KEYWORD_ONLY):
            raise ConfigError(
                f"parameter {str(keyword)!r} of {spec.name!r}: expected a keyword with its own name, because "
                "parameters are stored by name"
            )
        if name != SEED and keyword.empty in (keyword.default, keyword.annotation):
            raise ConfigError(
                f"parameter {str(keyword)!r} of {spec.name!r}: expected an annotation and a default, "
                f"such as '{name}: int = 0'"
            )
    return {name: keyword for name, keyword in keywords.items() if name != SEED}


def _checked(spec: PredictorSpec, keyword: inspect.Parameter, value: object) -> object:
    """Returns a value in the type of its annotation."""
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    expected = inspect.formatannotation(keyword.annotation)
    where = f"parameter {keyword.name!r} of {spec.name!r}"
    unwritable = ConfigError(f"{where}: JSON cannot hold a value of type {expected}; use numbers, str, list or dict")
    if not _is_json(value):
        raise ConfigError(
            f"{where}: got {value!r}, expected {_in_words(keyword.annotation)}, and a value that JSON can hold"
        )
    try:
        adapter: TypeAdapter[object] = TypeAdapter(keyword.annotation)
    except PydanticUserError as error:
        raise unwritable from error
    for reading in [value] if keyword.annotation is str else readings(value):
        try:
            checked = adapter.validate_json(json.dumps(reading), strict=True)
        except ValidationError:
            continue
        if not _is_json(checked):
            raise unwritable
        return checked
    raise ConfigError(f"{where}: got {value!r}, expected {_in_words(keyword.annotation)}")


def _in_words(annotation: Any) -> str:
    """Returns what a value may be, as one would type it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin in (list, tuple, Sequence):
        items = "[1, 2]" if {int, float} & set(arguments) else '["a", "b"]'
        return f"a JSON list such as {items!r}"
    if origin in (dict, Mapping):
        return 'a JSON object such as \'{"a": "b"}\''
    if origin in (Union, UnionType):
        return " or ".join(_in_words(argument) for argument in arguments)
    return {type(None): "none", float: "a number", int: "a whole number", bool: "true or false", str: "text"}.get(
        annotation, inspect.formatannotation(annotation)
    )


def readings(value: object) -> list[object]:
    """Returns what a value may mean, most likely first: a string may be another value as JSON, or itself."""
    if not isinstance(value, str):
        return [value]
    try:
        meant = json.loads("null" if value.lower() == "none" else value)
    except ValueError:
        return [value]
    return [meant, value] if _is_json(meant) and not isinstance(meant, str) else [value]


def _is_json(value: object) -> bool:
    """Whether JSON can hold a value; infinities and NaN it cannot."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
