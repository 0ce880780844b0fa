from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import Dataset, load_dataset
from harness.data.emorynlp_official import read_emorynlp_official
from harness.errors import DataError

FILES = ("emotion-detection-trn.json", "emotion-detection-dev.json", "emotion-detection-tst.json")

# Counted in json/ of emorynlp/emotion-detection: (scenes, utterances).
SIZES = {"train": (713, 9934), "dev": (99, 1344), "test": (85, 1328)}
LABELS = {
    "train": {
        "Neutral": 3034,
        "Joyful": 2184,
        "Peaceful": 900,
        "Powerful": 784,
        "Scared": 1285,
        "Mad": 1076,
        "Sad": 671,
    },
    "dev": {"Neutral": 393, "Joyful": 289, "Peaceful": 132, "Powerful": 134, "Scared": 178, "Mad": 143, "Sad": 75},
    "test": {"Neutral": 349, "Joyful": 282, "Peaceful": 159, "Powerful": 145, "Scared": 182, "Mad": 113, "Sad": 98},
}


def utterance(number: int, **changes: Any) -> dict[str, Any]:
    fields = {
        "utterance_id": f"s01_e02_c01_u{number:03}",
        "speakers": ["Monica Geller"],
        "transcript": "Oh, yeah!",
        "tokens": [["Oh", ",", "yeah", "!"]],
        "emotion": "Joyful",
    }
    return {key: value for key, value in (fields | changes).items() if value is not None}


def season(*utterances: dict[str, Any]) -> dict[str, Any]:
    scenes = [{"scene_id": "s01_e02_c01", "utterances": list(utterances)}]
    return {"season_id": "s01", "episodes": [{"episode_id": "s01_e02", "scenes": scenes}]}


GOOD = season(utterance(1), utterance(2, speakers=["Joey Tribbiani", "Ross Geller"], emotion="Mad"))


def write(folder: Path, content: object) -> Path:
    for name in FILES:
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def official(data_dir: Path) -> Dataset:
    return load_dataset("emorynlp-official", data_dir)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_the_release_has_the_published_counts(official: Dataset, split: str) -> None:
    dialogues = official.split(split).dialogues
    assert (len(dialogues), sum(len(d.utterances) for d in dialogues)) == SIZES[split]
    assert {len(d.utterances) for d in dialogues} == set(range(5, 26))  # scenes have 5 to 25 utterances
    assert official.split(split).label_counts() == LABELS[split]


def test_several_speakers_stay_several(official: Dataset) -> None:
    several = {name: sum(len(u.speakers) > 1 for u in official.split(name).utterances()) for name in ("dev", "test")}
    assert several == {"dev": 5, "test": 10}


def test_test_episodes_are_those_of_the_release(official: Dataset) -> None:
    episodes = {value for d in official.split("test").dialogues for _, value in d.attributes}
    expected = "s01_e01 s01_e10 s02_e08 s02_e23 s03_e08 s03_e20 s04_e02 s04_e17 s04_e20"  # of the release
    assert episodes == set(expected.split(" "))


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    (dialogue,) = read_emorynlp_official(write(tmp_path, GOOD))["dev"]
    assert dialogue.id == "s01_e02_c01"
    assert dialogue.attributes == (("episode", "s01_e02"),)
    assert [(u.id, u.speakers, u.text, u.label) for u in dialogue.utterances] == [
        ("s01_e02_c01_u001", ("Monica Geller",), "Oh, yeah!", "Joyful"),
        ("s01_e02_c01_u002", ("Joey Tribbiani", "Ross Geller"), "Oh, yeah!", "Mad"),
    ]


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        ([], "", "found list; expected an object"),
        ({"season_id": "s01"}, "", "key 'episodes' is missing"),
        ({"season_id": "s01", "episodes": []}, ", column 'episodes'", "the list is empty"),
        (season(), ", column 'episodes[0].scenes[0].utterances'", "the list is empty"),
        (
            season(utterance(1), utterance(1)),
            ", column 'episodes[0].scenes[0].utterances[1].utterance_id'",
            "duplicate utterance id 's01_e02_c01_u001'",
        ),
        (
            season(utterance(1, emotion="Happy")),
            ", column 'episodes[0].scenes[0].utterances[0].emotion'",
            "unknown label 'Happy'; expected one of ['Joyful', ",
        ),
        (
            season(utterance(1, transcript=None)),
            ", column 'episodes[0].scenes[0].utterances[0]'",
            "key 'transcript' is missing",
        ),
        (
            season(utterance(1, speakers="Joey")),
            ", column 'episodes[0].scenes[0].utterances[0].speakers'",
            "found 'Joey'; expected a list",
        ),
    ],
)
def test_bad_input_is_named_with_its_place(tmp_path: Path, content: object, place: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        read_emorynlp_official(write(tmp_path, content))
    assert f"emotion-detection-trn.json{place}: {problem}" in str(caught.value)


def test_a_scene_twice_is_refused(tmp_path: Path) -> None:
    twice = copy.deepcopy(GOOD)
    twice["episodes"][0]["scenes"].append({"scene_id": "s01_e02_c01", "utterances": [utterance(9)]})
    with pytest.raises(DataError, match=r"scenes\[1\]\.scene_id': duplicate scene id 's01_e02_c01'"):
        read_emorynlp_official(write(tmp_path, twice))


def test_a_file_cut_off_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD) / FILES[2]
    lines = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join(lines[:9]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"emotion-detection-tst\.json, line (9|10): broken JSON .* not cut off"):
        read_emorynlp_official(tmp_path)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Returns the paths of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(places(GOOD)), ANY_JSON)
def test_no_json_raises_anything_but_a_data_error(place: tuple[str | int, ...], junk: object) -> None:
    holder = {"root": copy.deepcopy(GOOD)}
    target: Any = holder
    for key in ("root", *place)[:-1]:
        target = target[key]
    target[("root", *place)[-1]] = junk
    with tempfile.TemporaryDirectory() as folder:
        try:
            read = read_emorynlp_official(write(Path(folder), holder["root"]))
        except DataError as error:
            assert "emotion-detection-trn.json" in str(error)
        else:
            json.dumps([d.id for d in read["test"]]).encode()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 700), st.integers(0, 60))
def test_no_damage_raises_anything_but_a_data_error(junk: bytes, position: int, n_lost: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), GOOD) / FILES[2]
        raw = path.read_bytes()
        path.write_bytes(raw[:position] + junk + raw[position + n_lost :])
        try:
            read_emorynlp_official(Path(folder))
        except DataError as error:
            assert path.name in str(error)
