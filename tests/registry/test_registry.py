"""The registry is strict: duplicates raise, unknown names suggest, broken things stay listed."""

from __future__ import annotations

import sys
import types

import pytest

from harness.errors import ConfigError, DuplicateNameError, HarnessError, PluginLoadError, UnknownNameError
from harness.registry import Registry


@pytest.fixture
def registry() -> Registry[int]:
    return Registry("predictor")


def test_added_things_are_found_and_listed_in_order(registry: Registry[int]) -> None:
    registry.add("lab/two", 2, "lab")
    registry.add("one", 1, "lab")
    assert registry.get("one") == 1
    assert list(registry) == ["lab/two", "one"]
    assert "one" in registry
    assert "three" not in registry


@pytest.mark.parametrize("name", ["", "Upper", "a b", "../x", "a/b/c", "/a", "a/", "é", "-x", "a\n"])
def test_names_that_could_leave_their_folder_or_confuse_are_refused(registry: Registry[int], name: str) -> None:
    with pytest.raises(ConfigError, match="expected lower-case"):
        registry.add(name, 1, "lab")


def test_a_second_thing_of_one_name_is_refused_and_both_origins_are_named(registry: Registry[int]) -> None:
    registry.add("lab/one", 1, "first-lab")
    with pytest.raises(DuplicateNameError, match="second-lab.*first-lab"):
        registry.add("lab/one", 2, "second-lab")
    assert registry.get("lab/one") == 1


def test_an_unknown_name_suggests_the_nearest(registry: Registry[int]) -> None:
    registry.add("tfidf-svm", 1, "lab")
    with pytest.raises(UnknownNameError, match="did you mean 'tfidf-svm'") as caught:
        registry.get("tfidf-smv")
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, HarnessError)


def lazy_module(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: object) -> None:
    module = types.ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def test_a_lazy_thing_is_imported_on_first_use_only(registry: Registry[int], monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add_lazy("one", "lazy_plugin:One", "lab")
    assert list(registry) == ["one"]
    assert "lazy_plugin" not in sys.modules
    lazy_module(monkeypatch, "lazy_plugin", One=object)
    registry.add("one", 1, "lazy_plugin", target="lazy_plugin:One")  # what the decorator does while importing
    assert registry.get("one") == 1
    assert registry.row("one").origin == "lab"


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("no_such_module_at_all:X", "No module named"),
        ("json:Missing", "has no 'Missing'"),
        ("json:loads", "registered no"),
    ],
)
def test_a_lazy_thing_that_cannot_be_loaded_is_listed_with_its_cause(
    registry: Registry[int], target: str, cause: str
) -> None:
    registry.add_lazy("broken", target, "lab")
    assert cause in (registry.row("broken").error or "")
    with pytest.raises(PluginLoadError, match=cause):
        registry.get("broken")
    assert [row.name for row in registry.broken()] == ["broken"]


def test_a_thing_imported_before_its_plugin_was_found_gets_the_origin_of_the_plugin(registry: Registry[int]) -> None:
    registry.add("one", 1, "lab_module", target="lab_module:One")
    registry.add_lazy("one", "lab_module:One", "lab-distribution")
    assert registry.row("one").origin == "lab-distribution"
    assert registry.get("one") == 1


def test_registering_the_same_lazy_target_twice_changes_nothing(registry: Registry[int]) -> None:
    registry.add_lazy("one", "m:One", "lab")
    registry.add_lazy("one", "m:One", "lab")
    with pytest.raises(DuplicateNameError):
        registry.add_lazy("one", "m:Other", "elsewhere")
