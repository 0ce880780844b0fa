from __future__ import annotations

import csv
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import Dataset, load_dataset
from harness.data.meld import CARD, read_meld
from harness.errors import DataError, DatasetNotFoundError

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
ROWS = (
    '3,"It\u2019s fine, really.",Ross,neutral,neutral,12,4,4,7,"00:16:16,059","00:16:21,731"',
    '1,Oh my God!,Rachel,surprise,positive,12,3,4,7,"00:16:11,059","00:16:15,731"',
    '9,No.,Joey,sadness,negative,0,0,10,11,"00:00:01,000","00:00:02,000"',
)

# README of declare-lab/MELD, table "Dataset Statistics", but for 1,038 train dialogues where it prints 1,039 (dialogue
# 60 is missing), and for longest dialogue and most speakers, counted in the files:
# utterances, dialogues, longest dialogue, most speakers in a dialogue, speakers.
SIZES = {"train": (9989, 1038, 24, 9, 260), "dev": (1109, 114, 23, 8, 47), "test": (2610, 280, 33, 8, 100)}
# README of declare-lab/MELD, table "Dataset Distribution".
LABELS = {
    "train": {
        "neutral": 4710,
        "joy": 1743,
        "surprise": 1205,
        "anger": 1109,
        "sadness": 683,
        "disgust": 271,
        "fear": 268,
    },
    "dev": {"neutral": 470, "joy": 163, "surprise": 150, "anger": 153, "sadness": 111, "disgust": 22, "fear": 40},
    "test": {"neutral": 1256, "joy": 402, "surprise": 281, "anger": 345, "sadness": 208, "disgust": 68, "fear": 50},
}


def write(folder: Path, *rows: str, header: str = HEADER, split: str | None = None) -> Path:
    """Writes three small files; the rows go into one split, or into all."""
    folder.mkdir(exist_ok=True)
    for name in ("train", "dev", "test"):
        content = rows if split in (None, name) else ROWS
        (folder / f"{name}_sent_emo.csv").write_bytes("".join(f"{r}\r\n" for r in (header, *content)).encode())
    return folder


@pytest.fixture(scope="module")
def meld(data_dir: Path) -> Dataset:
    return load_dataset("meld", data_dir)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_the_release_has_the_published_counts(meld: Dataset, split: str) -> None:
    dialogues = meld.split(split).dialogues
    speakers = [{name for u in d.utterances for name in u.speakers} for d in dialogues]
    assert SIZES[split] == (
        sum(len(d.utterances) for d in dialogues),
        len(dialogues),
        max(len(d.utterances) for d in dialogues),
        max(len(names) for names in speakers),
        len(set.union(*speakers)),
    )
    assert meld.split(split).label_counts() == LABELS[split]


def test_every_row_of_the_release_arrives_with_its_own_label(meld: Dataset, data_dir: Path) -> None:
    for split in ("train", "dev", "test"):
        with (data_dir / "meld" / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            expected = {
                f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}": (row["Speaker"], row["Utterance"], row["Emotion"])
                for row in csv.DictReader(file)
            }
        assert {u.id: (*u.speakers, u.text, u.label) for u in meld.split(split).utterances()} == expected


def test_utterances_are_in_the_order_of_their_ids_despite_gaps(meld: Dataset) -> None:
    gaps: Counter[str] = Counter()  # dialogues with a gap, by split
    for name, split in meld.splits.items():
        for dialogue in split.dialogues:
            numbers = [int(u.id.rpartition("_utt")[2]) for u in dialogue.utterances]
            assert numbers == sorted(numbers)
            gaps[name] += numbers != list(range(len(numbers)))
    assert gaps == {"train": 72, "dev": 2, "test": 2}
    assert "dia60" not in {d.id for d in meld.split("train").dialogues}


@pytest.mark.parametrize("copy", ["cp1252", "cp1252 read as Latin-1", "line feeds"])
def test_other_copies_have_the_same_fingerprint(meld: Dataset, data_dir: Path, tmp_path: Path, copy: str) -> None:
    for path in (data_dir / "meld").glob("*.csv"):
        text = path.read_bytes().decode()
        raw = {
            "cp1252": text.encode("cp1252"),
            "cp1252 read as Latin-1": text.encode("cp1252").decode("latin-1").encode(),
            "line feeds": text.replace("\r\n", "\n").encode(),
        }[copy]
        assert raw != path.read_bytes()
        (tmp_path / "meld").mkdir(exist_ok=True)
        (tmp_path / "meld" / path.name).write_bytes(raw)
    assert load_dataset("meld", tmp_path).fingerprint == meld.fingerprint


def test_one_changed_label_changes_the_fingerprint_of_its_split(meld: Dataset, data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(data_dir / "meld", tmp_path / "meld", copy_function=shutil.copyfile)
    (tmp_path / "meld").chmod(0o755)
    path = tmp_path / "meld" / "dev_sent_emo.csv"
    path.write_bytes(path.read_bytes().replace(b",joy,", b",fear,", 1))
    changed = load_dataset("meld", tmp_path)
    assert changed.fingerprint != meld.fingerprint
    assert changed.split("dev").fingerprint != meld.split("dev").fingerprint
    assert changed.split("test").fingerprint == meld.split("test").fingerprint


def test_label_ids_follow_conv_emotion() -> None:
    # order of the class weights 4, 15, 15, 3, 1, 6, 3 in declare-lab/conv-emotion
    assert CARD.label_set.labels == ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    for label_id, label in enumerate(CARD.label_set.labels):
        assert CARD.label_set.index(label) == label_id
    assert CARD.label_set.neutral == "neutral"


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    first, second = read_meld(write(tmp_path, *ROWS))["test"]
    assert (first.id, second.id) == ("dia12", "dia0")
    assert [(u.id, u.speakers, u.text, u.label) for u in first.utterances] == [
        ("dia12_utt3", ("Rachel",), "Oh my God!", "surprise"),
        ("dia12_utt4", ("Ross",), "It\u2019s fine, really.", "neutral"),
    ]
    assert first.attributes == (("episode", "s04_e07"),)
    assert second.attributes == (("episode", "s10_e11"),)


@pytest.mark.parametrize(
    ("rows", "place", "problem"),
    [
        ((ROWS[0], ROWS[1].replace("surprise", "surprised")), "line 3, column 'Emotion'", "unknown label 'surprised'"),
        ((ROWS[0], ROWS[0]), "line 3, column 'Utterance_ID'", "duplicate id 'dia12_utt4', first on line 2"),
        ((ROWS[0].replace(",12,", ",12a,"),), "line 2, column 'Dialogue_ID'", "'12a' is not a number"),
        ((ROWS[0].replace(",4,4,", ",,4,"),), "line 2, column 'Utterance_ID'", "'' is not a number"),
        ((ROWS[1].replace("Rachel", " "),), "line 2, column 'Speaker'", "the cell is blank"),
        ((ROWS[0], ROWS[1][:-3]), "line 3", "broken CSV"),
        ((ROWS[0], ROWS[1][:30]), "line 3", "the row has 5 cells; expected 11"),
        ((), "line 2", "no row below the header"),
    ],
)
def test_bad_input_is_named_with_its_file_and_line(
    tmp_path: Path, rows: tuple[str, ...], place: str, problem: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_meld(write(tmp_path, *rows, split="dev"))
    assert f"dev_sent_emo.csv, {place}: {problem}" in str(caught.value)


def test_another_header_is_refused(tmp_path: Path) -> None:
    header = HEADER.replace("Emotion", "emotion")
    with pytest.raises(DataError, match=r"train_sent_emo\.csv, line 1, column 'Emotion': column 'Emotion' is missing"):
        read_meld(write(tmp_path, *ROWS, header=header))


def test_an_undecodable_byte_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, *ROWS) / "test_sent_emo.csv"
    path.write_bytes(path.read_bytes().replace(b"Oh my God!", b"Oh my \x9d!"))
    with pytest.raises(DataError, match=r"test_sent_emo\.csv, line 3: byte 0x9d is not UTF-8 or cp1252"):
        read_meld(tmp_path)


def test_missing_files_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "meld", *ROWS)
    (tmp_path / "meld" / "dev_sent_emo.csv").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"missing dev_sent_emo\.csv; type: erc-harness data fetch meld"):
        load_dataset("meld", tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 600), st.integers(0, 40))
def test_no_damage_raises_anything_but_a_data_error(junk: bytes, position: int, n_lost: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), *ROWS) / "test_sent_emo.csv"
        raw = path.read_bytes()
        path.write_bytes(raw[:position] + junk + raw[position + n_lost :])
        try:
            read_meld(Path(folder))
        except DataError as error:
            assert path.name in str(error)
