from __future__ import annotations

import ast
import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import Dataset, load_dataset
from harness.data.emorynlp import CARD, read_emorynlp
from harness.errors import DataError

HEADER = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time"
ROWS = (
    "\"Yeah, right!\",['Joey Tribbiani'],Neutral,1,4,1,2,00:00:04.504,00:00:07.548",
    "Hi.,\"['Chandler Bing', 'Ross Geller']\",Joyful,1,2,1,2,00:00:01.504,00:00:02.548",
    'Hello?,"[""Phoebe\'s Assistant""]",Sad,1,1,3,2,00:00:04.504,00:00:07.548',
)

# Counted in data/emorynlp of declare-lab/MELD: (scenes, utterances), as in Table 1 of DialogueLLM.
SIZES = {"train": (659, 7551), "dev": (89, 954), "test": (79, 984)}
LABELS = {
    "train": {"Neutral": 2485, "Joyful": 1677, "Peaceful": 638, "Powerful": 551, "Scared": 941, "Mad": 785, "Sad": 474},
    "dev": {"Neutral": 322, "Joyful": 205, "Peaceful": 82, "Powerful": 70, "Scared": 127, "Mad": 97, "Sad": 51},
    "test": {"Neutral": 288, "Joyful": 217, "Peaceful": 111, "Powerful": 96, "Scared": 116, "Mad": 86, "Sad": 70},
}


def write(folder: Path, *rows: str) -> Path:
    for name in ("train", "dev", "test"):
        (folder / f"emorynlp_{name}_final.csv").write_text("\n".join((HEADER, *rows, "")), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def subset(data_dir: Path) -> Dataset:
    return load_dataset("emorynlp", data_dir)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_the_subset_has_the_published_counts(subset: Dataset, split: str) -> None:
    dialogues = subset.split(split).dialogues
    assert (len(dialogues), sum(len(d.utterances) for d in dialogues)) == SIZES[split]
    assert subset.split(split).label_counts() == LABELS[split]


def test_every_row_arrives_with_its_own_speakers_and_label(subset: Dataset, data_dir: Path) -> None:
    for split in ("train", "dev", "test"):
        with (data_dir / "emorynlp" / f"emorynlp_{split}_final.csv").open(encoding="utf-8", newline="") as file:
            expected = sorted(
                (row["Utterance"], tuple(ast.literal_eval(row["Speaker"])), row["Emotion"])
                for row in csv.DictReader(file)
            )
        assert sorted((u.text, u.speakers, str(u.label)) for u in subset.split(split).utterances()) == expected


def test_test_texts_are_those_of_the_official_test_split(subset: Dataset, data_dir: Path) -> None:
    official = {u.id: u for u in load_dataset("emorynlp-official", data_dir).split("test").utterances()}
    same = [u for u in subset.split("test").utterances() if official[u.id].text == u.text]
    assert len(same) == 984
    assert all(official[u.id].label == u.label and official[u.id].speakers == u.speakers for u in same)


def test_the_two_releases_differ(subset: Dataset, data_dir: Path) -> None:
    official = load_dataset("emorynlp-official", data_dir)
    assert official.card.label_set == subset.card.label_set
    for split in ("train", "dev", "test"):
        assert official.split(split).fingerprint != subset.split(split).fingerprint


def test_label_ids_follow_cosmic() -> None:
    assert CARD.label_set.labels == ("Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared")
    for label_id, label in enumerate(CARD.label_set.labels):
        assert CARD.label_set.index(label) == label_id
    assert CARD.label_set.neutral == "Neutral"


def test_scenes_of_two_episodes_are_two_dialogues(tmp_path: Path) -> None:
    first, second = read_emorynlp(write(tmp_path, *ROWS))["train"]
    assert (first.id, second.id) == ("s01_e02_c01", "s03_e02_c01")
    assert [(u.id, u.speakers, u.text, u.label) for u in (*first.utterances, *second.utterances)] == [
        ("s01_e02_c01_u002", ("Chandler Bing", "Ross Geller"), "Hi.", "Joyful"),
        ("s01_e02_c01_u004", ("Joey Tribbiani",), "Yeah, right!", "Neutral"),
        ("s03_e02_c01_u001", ("Phoebe's Assistant",), "Hello?", "Sad"),
    ]
    assert first.attributes == (("episode", "s01_e02"),)


@pytest.mark.parametrize(
    ("row", "place", "problem"),
    [
        (ROWS[0].replace("Neutral", "neutral"), "line 3, column 'Emotion'", "unknown label 'neutral'"),
        (ROWS[2].replace(",1,1,3,", ",one,1,3,"), "line 3, column 'Scene_ID'", "'one' is not a number"),
        (ROWS[2], "line 3, column 'Utterance_ID'", "duplicate id 's03_e02_c01_u001', first on line 2"),
        (ROWS[0].replace("['Joey Tribbiani']", "Joey"), "line 3, column 'Speaker'", "'Joey' is not a list of names"),
        (ROWS[0].replace("['Joey Tribbiani']", "[]"), "line 3, column 'Speaker'", "'[]' is not a list of names"),
        (ROWS[0].replace("['Joey Tribbiani']", "__import__('os')"), "line 3, column 'Speaker'", "\"__import__('os')\""),
        (ROWS[0][:-30], "line 3", "the row has 5 cells; expected 9"),
        (ROWS[0][:8], "line 3", "broken CSV"),
    ],
)
def test_bad_input_is_named_with_its_file_and_line(tmp_path: Path, row: str, place: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        read_emorynlp(write(tmp_path, ROWS[2], row))
    assert f"emorynlp_train_final.csv, {place}: {problem}" in str(caught.value)


def test_only_utf_8_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, *ROWS) / "emorynlp_dev_final.csv"
    path.write_bytes(path.read_bytes().replace(b"Hello?", b"Hell\xf3?"))
    with pytest.raises(DataError, match=r"emorynlp_dev_final\.csv, line 4: byte 0xf3 is not UTF-8"):
        read_emorynlp(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 400), st.integers(0, 40))
def test_no_damage_raises_anything_but_a_data_error(junk: bytes, position: int, n_lost: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), *ROWS) / "emorynlp_test_final.csv"
        raw = path.read_bytes()
        path.write_bytes(raw[:position] + junk + raw[position + n_lost :])
        try:
            read_emorynlp(Path(folder))
        except DataError as error:
            assert path.name in str(error)
