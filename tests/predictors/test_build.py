"""Parameters from users and files: coerced by annotation, refused with a sentence that helps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from harness.errors import ConfigError
from harness.predictors import Predictor, PredictorCard, PredictorSpec
from harness.predictors.build import build_predictor, resolve_params
from harness.schema import DialogueView, Prediction


class Silent(Predictor):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return []


class Tuned(Silent):
    def __init__(
        self,
        history: int = 2,
        c: float = 1,
        cased: bool = False,
        name: str = "x",
        weight: Literal["balanced"] | None = "balanced",
        sizes: tuple[int, ...] = (3, 5),
        mixed: str | int = 0,
        seed: int = 0,
    ) -> None:
        self.given = (history, c, cased, name, weight, sizes, mixed)
        self.seed = seed


def spec_of(build: type[Predictor]) -> PredictorSpec:
    return PredictorSpec("tuned", PredictorCard(family="simple"), build)


TUNED = spec_of(Tuned)
DEFAULTS = {
    "history": 2, "c": 1.0, "cased": False, "name": "x", "weight": "balanced", "sizes": (3, 5), "mixed": 0,
}  # fmt: skip


def test_defaults_are_filled_in_in_order_and_without_the_seed() -> None:
    resolved = resolve_params(TUNED, {"history": 5})
    assert resolved == DEFAULTS | {"history": 5}
    assert list(resolved) == list(DEFAULTS)


def test_a_default_is_written_as_a_given_value_of_its_type_would_be() -> None:
    assert json.dumps(resolve_params(TUNED, {})) == json.dumps(resolve_params(TUNED, {"c": 1.0}))


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("history", "3", 3),
        ("history", 3, 3),
        ("c", "0.5", 0.5),
        ("c", "1e-3", 0.001),
        ("c", 2, 2.0),
        ("cased", "true", True),
        ("weight", "none", None),
        ("weight", "null", None),
        ("weight", None, None),
        ("weight", "balanced", "balanced"),
        ("sizes", "[1, 2]", (1, 2)),
        ("sizes", [1, 2], (1, 2)),
        ("name", "3", "3"),
        ("name", "none", "none"),
        ("mixed", "3", 3),
        ("mixed", "three", "three"),
        ("mixed", '"3"', '"3"'),
    ],
)
def test_values_follow_their_annotation_and_resolving_again_keeps_them(name: str, given: object, value: object) -> None:
    resolved = resolve_params(TUNED, {name: given})
    assert resolved[name] == value
    assert type(resolved[name]) is type(value)
    assert resolve_params(TUNED, resolved) == resolved
    assert resolve_params(TUNED, json.loads(json.dumps(resolved))) == resolved


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("history", "x", "got 'x', expected a whole number"),
        ("history", "2.5", "got '2.5', expected a whole number"),
        ("history", True, "got True, expected a whole number"),
        ("history", None, "got None, expected a whole number"),
        ("c", "nan", "got 'nan', expected a number"),
        ("c", float("inf"), "got inf, expected a number"),
        ("cased", "perhaps", "got 'perhaps', expected true or false"),
        ("name", 3, "got 3, expected text"),
        ("weight", "heavy", "expected one of 'balanced' or none"),
        ("sizes", "[1, 'a']", "expected a JSON list such as '[1, 2]'"),
        ("sizes", object(), "expected a JSON list such as '[1, 2]'"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, given: object, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_params(TUNED, {name: given})
    message = str(caught.value)
    assert message.startswith(f"parameter '{name}' of 'tuned': got ")
    assert expected in message
    assert "\n" not in message


def test_an_unknown_parameter_is_refused_with_the_nearest_and_all_names() -> None:
    with pytest.raises(ConfigError, match=r"'histroy'; did you mean 'history'\? \(known: c, cased, history, mixed"):
        resolve_params(TUNED, {"histroy": 1})


def test_the_seed_is_no_parameter() -> None:
    with pytest.raises(ConfigError, match="--seed"):
        resolve_params(TUNED, {"seed": 1})


class Unannotated(Silent):
    def __init__(self, size=3) -> None:  # type: ignore[no-untyped-def]
        pass


class Required(Silent):
    def __init__(self, size: int) -> None:
        pass


class Open(Silent):
    def __init__(self, **rest: int) -> None:
        pass


class Contradictory(Silent):
    def __init__(self, size: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
        pass


class Unwritable(Silent):
    def __init__(self, folder: Path = Path()) -> None:
        pass


class Unordered(Silent):
    def __init__(self, labels: set[str] = []) -> None:  # type: ignore[assignment]  # noqa: B006
        pass


class Foreign(Silent):
    def __init__(self, other: Predictor | None = None) -> None:
        pass


class Unreadable(Silent):
    def __init__(self, size: Missing = 3) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Unannotated, r"'size=3' of 'tuned': expected an annotation and a default"),
        (Required, r"'size: int' of 'tuned': expected an annotation and a default"),
        (Open, r"'\*\*rest: int' of 'tuned': expected a keyword with its own name"),
        (Contradictory, r"'size' of 'tuned': got None, expected a whole number"),
        (Unwritable, r"got PosixPath\('.'\), expected .*Path, and a value that JSON can hold"),
        (Unordered, r"JSON cannot hold a value of type set"),
        (Foreign, r"JSON cannot hold a value of type .*Predictor"),
        (Unreadable, r"an annotation in the constructor of 'tuned' cannot be read: .*Missing"),
    ],
)
def test_a_constructor_that_breaks_the_rules_is_refused(build: type[Predictor], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_params(spec_of(build), {})


def test_the_seed_goes_to_constructors_that_have_it() -> None:
    built = build_predictor(TUNED, {"history": "4"}, seed=7)
    assert isinstance(built, Tuned)
    assert built.seed == 7
    assert built.given == (4, 1.0, False, "x", "balanced", (3, 5), 0)
    assert type(build_predictor(spec_of(Silent), {}, seed=7)) is Silent


def test_a_predictor_without_constructor_has_no_parameters() -> None:
    assert resolve_params(spec_of(Silent), {}) == {}
    with pytest.raises(ConfigError, match="known: none"):
        resolve_params(spec_of(Silent), {"size": 1})


def test_importing_the_module_loads_no_pydantic() -> None:
    code = "import sys, harness.predictors.build; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
