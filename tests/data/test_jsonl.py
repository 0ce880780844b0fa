from __future__ import annotations

import copy
import json
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import DATASETS, load_dataset
from harness.data.files import read_lines
from harness.data.jsonl import SAMPLE, find_jsonl, jsonl_spec, read_jsonl, read_sample
from harness.errors import DataError, HarnessError, UnknownNameError
from harness.schema import LabelSet

CARD = """name = "mine"
title = "My corpus"
language = "en"
license = "CC-BY-4.0"
source = "me"
labels = ["joy", "anger", "neutral"]
neutral = "neutral"
redistributable = true
notes = "Small."
metric = "macro_f1"
"""
DIALOGUE: dict[str, Any] = {
    "dialogue_id": "d1",
    "utterances": [
        {"utterance_id": "first", "speaker": "Ann", "text": "You came!", "label": "joy"},
        {"speaker": ["Ben", "Cem"], "text": "Sûr.", "label": None},
    ],
    "attributes": {"episode": "e1"},
}


def write(folder: Path, card: str = CARD, **splits: object) -> Path:
    """Writes a corpus; a split is a list of lines (text, or something for a JSON line). `test` is there anyway."""
    folder.mkdir(exist_ok=True)
    (folder / "card.toml").write_text(card, encoding="utf-8")
    for name, lines in ({"test": [DIALOGUE]} | splits).items():
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]  # type: ignore[attr-defined]
        (folder / f"{name}.jsonl").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return folder


def changed(place: str, value: object) -> dict[str, Any]:
    """Returns the dialogue with the value at a place such as 'utterances.0.label' replaced."""
    dialogue = copy.deepcopy(DIALOGUE)
    target: Any = dialogue
    *steps, last = place.split(".")
    for step in steps:
        target = target[int(step) if step.isdigit() else step]
    target[int(last) if last.isdigit() else last] = value
    return dialogue


def test_a_corpus_of_ones_own_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine")
    by_name, by_path = load_dataset("mine", tmp_path), load_dataset(str(folder))
    assert by_name.fingerprint == by_path.fingerprint
    assert by_name.name == "mine"
    assert by_name.card.label_set.labels == ("joy", "anger", "neutral")
    assert (by_name.card.metric, by_name.card.table_notes) == ("macro_f1", ("Small.",))
    assert find_jsonl("mine", None) is None
    with pytest.raises(UnknownNameError, match="unknown dataset 'nine'"):
        load_dataset("nine", tmp_path)


def test_all_fields_arrive(tmp_path: Path) -> None:
    (dialogue,) = load_dataset(str(write(tmp_path))).split("test").dialogues
    assert (dialogue.id, dialogue.attributes) == ("d1", (("episode", "e1"),))
    assert [(u.id, u.speakers, u.text, u.label) for u in dialogue.utterances] == [
        ("first", ("Ann",), "You came!", "joy"),
        ("d1_1", ("Ben", "Cem"), "Sûr.", None),
    ]


def test_train_and_dev_may_be_absent_but_test_may_not(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "mine",
        train=[
            DIALOGUE,
            "",
            changed("dialogue_id", "d2") | {"utterances": [{"speaker": "Ann", "text": "", "label": "anger"}]},
        ],
    )
    dataset = load_dataset("mine", tmp_path)
    assert {name: len(split.dialogues) for name, split in dataset.splits.items()} == {"train": 2, "test": 1}
    (folder / "test.jsonl").unlink()
    with pytest.raises(DataError, match=r"test\.jsonl: cannot be read: No such file"):
        load_dataset("mine", tmp_path)


@pytest.mark.parametrize("name", ["", ".", "a\0b", "x" * 5_000, "../nothing", "meld\n"])
def test_strange_names_find_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_jsonl(name, tmp_path) is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('title = "My corpus"\n', "", ": key 'title' is missing; expected the keys name, title, language, license"),
        ('source = "me"', 'source = "me"\ncolour = "red"', ": unknown key 'colour'; expected only name, title"),
        (
            "redistributable = true",
            'redistributable = "yes"',
            ", column 'redistributable': found 'yes'; expected true or",
        ),
        ('name = "mine"', 'name = "My Corpus"', ", column 'name': 'My Corpus' is not a name; expected lower-case"),
        ('name = "mine"', 'name = "meld"', ", column 'name': 'meld' is a registered dataset; expected another name"),
        ('name = "mine"', "name = 3", ", column 'name': found 3; expected a string"),
        ('title = "My corpus"', 'title = " "', ", column 'title': ' ' is blank"),
        ('["joy", "anger", "neutral"]', '"joy"', ", column 'labels': found 'joy'; expected a list"),
        ('["joy", "anger", "neutral"]', '["neutral"]', ": labels ['neutral']: expected at least two different"),
        ('"anger", "neutral"]', '"anger"]', ": neutral 'neutral' is not one of the labels ['joy', 'anger']"),
        ('["joy", "anger", "neutral"]', '["joy", 2]', ", column 'labels[1]': found 2; expected a string"),
        ('title = "My corpus"', 'title = "My corpus', ": broken TOML: "),
        (CARD, "", ": the file is empty"),
    ],
)
def test_a_bad_card_is_named_with_its_key(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in CARD
    with pytest.raises(DataError) as caught:
        jsonl_spec(write(tmp_path, CARD.replace(old, new)))
    assert f"card.toml{problem}" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"dialogue_id": "d2", "utterances": [', ": broken JSON at character"),
        ("[1]", ": found list; expected an object"),
        ({"dialogue_id": "d2"}, ": key 'utterances' is missing; expected the keys dialogue_id, utterances"),
        (DIALOGUE | {"id": 3}, ": unknown key 'id'; expected only dialogue_id, utterances, attributes"),
        (changed("dialogue_id", "d1"), ", column 'dialogue_id': duplicate dialogue id 'd1', first on line 1"),
        (changed("dialogue_id", 2), ", column 'dialogue_id': found 2; expected a string"),
        (changed("utterances", []), ", column 'utterances': the list is empty"),
        (changed("attributes", {"n": 1}), ", column 'attributes.n': found 1; expected a string"),
        (changed("utterances.0.label", "Joy"), ", column 'utterances[0].label': unknown label 'Joy'; expected one of"),
        (changed("utterances.0.text", None), ", column 'utterances[0].text': found None; expected a string"),
        (changed("utterances.0.speaker", []), ", column 'utterances[0].speaker': the list is empty"),
        (changed("utterances.1.speaker", ["a", ""]), ", column 'utterances[1].speaker[1]': '' is blank"),
        (changed("utterances.1", {"speaker": "a", "text": "b"}), ", column 'utterances[1]': key 'label' is missing"),
        (
            changed("utterances.1.utterance_id", "first"),
            ", column 'utterances[1].utterance_id': duplicate utterance id 'first', first on line 4",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_place(tmp_path: Path, line: object, problem: str) -> None:
    if isinstance(line, dict) and line.get("dialogue_id") == "d1" and "duplicate dialogue" not in problem:
        line = line | {"dialogue_id": "d9"}
    other = changed("utterances.0.utterance_id", "other")
    with pytest.raises(DataError) as caught:
        load_dataset(str(write(tmp_path, train=[other, "", "", line])))
    assert f"train.jsonl, line 4{problem}" in str(caught.value)


def test_an_undecodable_byte_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, dev=[DIALOGUE, DIALOGUE]) / "dev.jsonl"
    path.write_bytes(path.read_bytes().replace(b"You came", b"\xff\xfe came"))
    with pytest.raises(DataError, match=r"dev\.jsonl, line 1: byte 0xff is not UTF-8"):
        load_dataset(str(tmp_path))


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dev\.jsonl: the file is empty; expected one dialogue a line"):
        load_dataset(str(write(tmp_path, dev=["", " "])))
    with pytest.raises(DataError, match="no utterance has a label"):
        load_dataset(str(write(tmp_path, dev=[changed("utterances.0.label", None)])))


def test_order_and_missing_ids_do_not_depend_on_the_layout_of_the_line(tmp_path: Path) -> None:
    spaced = json.dumps(DIALOGUE, indent=None, separators=(" , ", " : "), ensure_ascii=False)
    reordered = json.dumps({key: DIALOGUE[key] for key in reversed(DIALOGUE)})
    prints = {load_dataset(str(write(tmp_path, test=[line]))).fingerprint for line in (DIALOGUE, spaced, reordered)}
    assert len(prints) == 1


def test_the_bundled_sample_is_read_without_a_data_directory() -> None:
    sample = load_dataset("sample")
    assert sample.name == "sample"
    assert sample.card.bundled == SAMPLE
    assert set(sample.splits) == {"train", "dev", "test"}
    lines = (SAMPLE / "test.jsonl").read_text(encoding="utf-8").splitlines()
    assert [d.id for d in sample.split("test").dialogues] == [json.loads(line)["dialogue_id"] for line in lines]
    assert DATASETS.get("sample").read is read_sample


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
@given(st.sampled_from(places(DIALOGUE)), ANY_JSON)
def test_no_json_raises_anything_but_a_harness_error(place: tuple[str | int, ...], junk: object) -> None:
    holder: Any = {"root": copy.deepcopy(DIALOGUE)}
    target = holder
    for key in ("root", *place)[:-1]:
        target = target[key]
    target[("root", *place)[-1]] = junk
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert load_dataset(str(write(Path(folder), test=[json.dumps(holder["root"])]))).fingerprint
        except HarnessError as error:
            assert "\n" not in str(error)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["card.toml", "test.jsonl"]), st.binary(max_size=60), st.integers(0, 300), st.integers(0, 60))
def test_no_damage_raises_anything_but_a_harness_error(file: str, junk: bytes, position: int, n_lost: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder)) / file
        raw = path.read_bytes()
        path.write_bytes(raw[:position] + junk + raw[position + n_lost :])
        try:
            assert load_dataset(folder).fingerprint
        except HarnessError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_systems_are_not_chosen_by_the_test(toy_corpus: Path, split: str) -> None:
    folder = toy_corpus / "toy"
    (folder / f"{split}.jsonl").write_bytes((folder / "test.jsonl").read_bytes())
    with pytest.raises(DataError, match=rf"{split}\.jsonl: it holds the dialogues of test\.jsonl"):
        load_dataset("toy", toy_corpus)


def test_a_line_without_end_is_refused_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.touch()
    os.truncate(path, 1 << 34)  # a hole: it takes no room on the disk
    with pytest.raises(DataError, match=r"test\.jsonl, line 1: more than 16777216 bytes"):
        list(read_lines(path))


def test_a_corpus_is_read_without_holding_its_text_twice(tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    utterance = {"speaker": "Ann", "label": "joy"}
    with (folder / "test.jsonl").open("w") as file:
        for d in range(300):
            said = [utterance | {"text": f"{d} {u} " + "x" * 1000} for u in range(10)]
            file.write(json.dumps({"dialogue_id": f"d{d}", "utterances": said}) + "\n")
    size = (folder / "test.jsonl").stat().st_size
    labels = LabelSet(("joy", "anger"))
    tracemalloc.start()
    try:
        dialogues = read_jsonl(folder, labels)["test"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(d.utterances) for d in dialogues) == 3000
    assert peak < 1.4 * size  # 1.0 of texts, 0.3 of objects and ids; a second copy of the text would make it 2.3
    first, last = dialogues[0].utterances[0], dialogues[-1].utterances[-1]
    assert first.speakers is last.speakers
    assert first.label is last.label is labels.labels[0]


def test_an_id_that_is_twice_on_one_late_line_is_found(tmp_path: Path) -> None:
    twice = [{"utterance_id": "u", "speaker": "Ann", "text": "Hi", "label": "joy"}] * 2
    (tmp_path / "test.jsonl").write_text("\n" * 300 + json.dumps({"dialogue_id": "d", "utterances": twice}) + "\n")
    with pytest.raises(DataError, match="first on line 301"):
        read_jsonl(tmp_path, LabelSet(("joy", "anger")))
