"""The slices of this distribution on dialogues small enough to be sorted by hand, and on published counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data import Split, load_dataset
from harness.errors import ConfigError, DuplicateNameError, UnknownNameError
from harness.schema import Dialogue, LabelSet, Utterance
from harness.slices import BUILTIN, SLICES, Slice, Sources, choose_slices, register_slice, slice_names
from harness.slices.builtin import emotion_shifts

LABELS = LabelSet(("joy", "fear", "anger"))

TALK = (
    ("Ann", "one two three four five", "joy"),
    ("Bob", "no", "fear"),
    ("Ann", "six seven eight nine", "joy"),
    ("Ann", "...", None),
    ("Ann", "a b c d e f g h i j k l m n o p", "anger"),
    ("Bob", "known words are in train here", "fear"),
    ("Ann & Bob", "well", "joy"),
    ("Ann", "", "anger"),
)


def make_split(*dialogues: tuple[tuple[str, str, str | None], ...], name: str = "test") -> Split:
    return Split(
        "made-up",
        name,  # type: ignore[arg-type]
        tuple(
            Dialogue(
                f"{name}{d}",
                tuple(
                    Utterance(f"{name}{d}u{u}", tuple(who.split(" & ")), text, label)
                    for u, (who, text, label) in enumerate(dialogue)
                ),
            )
            for d, dialogue in enumerate(dialogues)
        ),
        LABELS,
    )


SPLIT = make_split(TALK, (("Ann", "No!", "joy"), ("Ann", "yes", "fear")))
TRAIN = make_split(
    (
        ("X", "Known words are, in TRAIN here", "joy"), ("X", "No", "joy"), ("X", "rare", "fear"),
        *(("X", "filler", "anger") for _ in range(8)),
    ),
    name="train",
)  # fmt: skip


def sort(name: str, sources: Sources) -> list[str | None]:
    return list(SLICES.get(name).sort(sources))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("emotion-shift", [None, None, "inertia", "shift", "inertia", None, "inertia", None, "shift"]),
        ("position", ["1", "2 to 3", "2 to 3", "4 to 7", "4 to 7", "4 to 7", "8 to 15", "1", "2 to 3"]),
        (
            "utterance-length",
            ["4 to 7", "0 to 3", "4 to 7", "16 to 31", "4 to 7", "0 to 3", "0 to 3", "0 to 3", "0 to 3"],
        ),
        ("dialogue-length", [*["8 to 15"] * 7, "1 to 3", "1 to 3"]),
        ("speakers", [*["2"] * 7, "1", "1"]),
        ("turn", ["first", "first", "later", "later", "later", "first", "later", "first", "first"]),
        ("rare-label", ["common", "rare", "common", "common", "rare", "common", "common", "common", "rare"]),
        ("seen-in-train", ["new", "seen, short", "new", "new", "seen", "new", None, "seen, short", "new"]),
        ("other-corpus", [*["shared"] * 7, None, None]),
        ("video", ["described", *["not described"] * 5, "described", "not described", "not described"]),
    ],
)
def test_utterances_are_sorted_as_by_hand(name: str, expected: list[str | None]) -> None:
    other = make_split(
        (("Y", "one two three four five", "joy"), ("Y", "known words are in train here!", "joy")), name="dev"
    )
    described = {"test0u0": "A cup.", "test0u7": "A door.", "test0u3": "of no target"}
    sources = Sources(SPLIT, TRAIN, (other,), described)
    assert sort(name, sources) == expected
    assert set(expected) - {None} <= set(SLICES.get(name).values)


def test_every_slice_of_the_distribution_is_sorted_by_hand_above() -> None:
    tried = {case[0] for mark in test_utterances_are_sorted_as_by_hand.pytestmark for case in mark.args[1]}  # type: ignore[attr-defined]
    assert tried == set(BUILTIN)


def test_half_of_an_even_share_is_not_rare() -> None:
    train = make_split((*[("X", "a", "joy")] * 4, ("X", "a", "anger"), ("X", "a", "fear")), name="train")
    assert set(sort("rare-label", Sources(SPLIT, train))) == {"common"}, "1 of 6, where an even share is 2 of 6"


def test_shifts_of_one_speaker_are_not_those_of_another() -> None:
    shifts = emotion_shifts(SPLIT.dialogues[0])
    assert shifts == [None, None, False, None, True, False, None, False]


@pytest.mark.parametrize(("split", "n_shifts"), [("dev", 427), ("test", 1003)])
def test_shifts_are_as_many_as_the_owners_of_meld_count(data_dir: Path, split: str, n_shifts: int) -> None:
    """Source: Poria et al. 2019 (MELD, ACL), table of statistics, row of emotion shifts."""
    dialogues = load_dataset("meld", data_dir).split(split).dialogues
    assert sum(shift is True for dialogue in dialogues for shift in emotion_shifts(dialogue)) == n_shifts


def test_parts_of_a_slice_are_disjoint_and_in_the_declared_order() -> None:
    parts = SLICES.get("position").divide(Sources(SPLIT))
    assert list(parts.items()) == [
        ("1", (0, 7)), ("2 to 3", (1, 2, 8)), ("4 to 7", (3, 4, 5)), ("8 to 15", (6,)),
    ]  # fmt: skip
    undeclared = Slice("x", "first letter", lambda sources: ["b", "a", "a", None, "c", "a", "b", "a", None], (), ())
    assert list(undeclared.divide(Sources(SPLIT)).items()) == [("a", (1, 2, 5, 7)), ("b", (0, 6)), ("c", (4,))]


def test_what_a_slice_needs_is_named() -> None:
    bare = Sources(SPLIT)
    missing = {name: one.missing(bare) for name in slice_names() if (one := SLICES.get(name)).missing(bare)}
    assert missing == {
        "rare-label": "the corpus has no train split", "seen-in-train": "the corpus has no train split",
        "other-corpus": "add --other DATASET", "video": "add --video FILE",
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"slice 'video' needs more than the split: add --video FILE"):
        SLICES.get("video").divide(bare)


def test_a_slice_that_gives_wrong_values_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gives 1 values; expected one for each of the 9 annotated"):
        Slice("lab/x", "x", lambda sources: ["a"], (), ()).divide(Sources(SPLIT))
    with pytest.raises(ConfigError, match=r"'lab/x' gives 'b'; it declares a, c"):
        Slice("lab/x", "x", lambda sources: ["a"] * 8 + ["b"], ("a", "c"), ()).divide(Sources(SPLIT))


def test_names_are_registered_once_and_unknown_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.name for one in choose_slices()][:3] == ["emotion-shift", "position", "utterance-length"]
    assert [one.name for one in choose_slices(("turn", "position", "turn"))] == ["turn", "position"]
    monkeypatch.setattr(SLICES, "_rows", dict(SLICES._rows))
    register_slice("lab/mine", meaning="x")(lambda sources: [])
    assert slice_names()[-1] == "lab/mine"
    with pytest.raises(DuplicateNameError, match="'turn'"):
        register_slice("turn", meaning="x")(lambda sources: [])
    with pytest.raises(ConfigError, match=r"needs 'audio'; allowed: train, others, videos"):
        register_slice("lab/other", meaning="x", needs=("audio",))  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="erc-harness list slices"):
        choose_slices(("nope",))
