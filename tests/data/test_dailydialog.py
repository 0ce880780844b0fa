"""DailyDialog is not at hand: these tests write small files in the layout of its release, with invented words."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import load_dataset
from harness.data.dailydialog import CARD, read_dailydialog
from harness.errors import DataError, DatasetNotFoundError

TEXTS = "Is it open ? __eou__ It isn ’ t . __eou__ Oh no ! __eou__\nGreat news . __eou__  Tell me . __eou__\n"
LABELS = "0 0 5 \n4 0 \n"


def write(folder: Path, texts: str = TEXTS, labels: str = LABELS, split: str = "train") -> Path:
    """Writes the release; the contents given go into one split."""
    for name in ("train", "validation", "test"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for kind, good, content in (("", TEXTS, texts), ("emotion_", LABELS, labels)):
            text = content if name == split else good
            (folder / name / f"dialogues_{kind}{name}.txt").write_bytes(text.encode())
    return folder


def test_two_people_take_turns(tmp_path: Path) -> None:
    dataset = load_dataset("dailydialog", write(tmp_path / "dailydialog").parent)
    for split in ("train", "dev", "test"):
        first, second = dataset.split(split).dialogues
        assert [(u.id, u.speakers, u.text, u.label) for u in first.utterances] == [
            ("dia1_utt1", ("A",), "Is it open ?", "neutral"),
            ("dia1_utt2", ("B",), "It isn ’ t .", "neutral"),
            ("dia1_utt3", ("A",), "Oh no !", "sadness"),
        ]
        assert [(u.id, u.speakers, u.label) for u in second.utterances] == [
            ("dia2_utt1", ("A",), "happiness"),
            ("dia2_utt2", ("B",), "neutral"),
        ]


def test_validation_is_dev(tmp_path: Path) -> None:
    splits = read_dailydialog(write(tmp_path, "Hm . __eou__\n", "0\n", split="validation"))
    assert {name: len(dialogues) for name, dialogues in splits.items()} == {"train": 2, "dev": 1, "test": 2}


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    plain = read_dailydialog(write(tmp_path / "plain"))
    other = read_dailydialog(write(tmp_path / "other", TEXTS.replace("\n", "\r\n"), LABELS.replace("\n", "\r\n")))
    assert plain == other


def test_ids_are_those_of_the_readme() -> None:
    # readme.txt of the release: 0: no emotion, 1: anger, 2: disgust, 3: fear, 4: happiness, 5: sadness, 6: surprise
    assert CARD.label_set.labels == ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
    assert CARD.label_set.neutral == "neutral"
    assert CARD.metric == "micro_f1_no_neutral"


@pytest.mark.parametrize(
    ("texts", "labels", "file", "place", "problem"),
    [
        (
            TEXTS,
            "0 0 7\n4 0\n",
            "dialogues_emotion_train.txt",
            ", line 1",
            "unknown label '7'; expected a number from 0",
        ),
        (TEXTS, "0 0 5\n4 joy\n", "dialogues_emotion_train.txt", ", line 2", "unknown label 'joy'"),
        (TEXTS, "0 0 5\n4\n", "dialogues_emotion_train.txt", ", line 2", "1 labels; expected 2"),
        (TEXTS, "0 0 5\n", "dialogues_emotion_train.txt", ", line 1", "holds 1 dialogues; expected 2"),
        (TEXTS[:-12], LABELS, "dialogues_train.txt", ", line 2", "the line does not end with __eou__"),
        (TEXTS.replace("\n", "\n\n", 1), "0 0 5\n\n4 0\n", "dialogues_train.txt", ", line 2", "the line does not end"),
        ("", LABELS, "dialogues_train.txt", "", "the file is empty"),
        (TEXTS, "\n", "dialogues_emotion_train.txt", "", "the file is empty"),
    ],
)
def test_bad_input_is_named_with_its_file_and_line(
    tmp_path: Path, texts: str, labels: str, file: str, place: str, problem: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_dailydialog(write(tmp_path, texts, labels))
    assert f"{file}{place}: {problem}" in str(caught.value)


def test_an_undecodable_byte_is_named(tmp_path: Path) -> None:
    path = write(tmp_path) / "test" / "dialogues_test.txt"
    path.write_bytes(path.read_bytes().replace(b"Great", b"Gr\xebat"))
    with pytest.raises(DataError, match=r"dialogues_test\.txt, line 2: byte 0xeb is not UTF-8"):
        read_dailydialog(tmp_path)


def test_whoever_has_no_release_is_told_how_to_lay_it_out(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"missing train/dialogues_train\.txt, .*data fetch dailydialog"):
        load_dataset("dailydialog", tmp_path)


@settings(max_examples=80, deadline=None)
@given(st.booleans(), st.binary(max_size=60), st.integers(0, 120), st.integers(0, 40))
def test_no_damage_raises_anything_but_a_data_error(in_text: bool, junk: bytes, position: int, n_lost: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder)) / "test" / f"dialogues_{'' if in_text else 'emotion_'}test.txt"
        raw = path.read_bytes()
        path.write_bytes(raw[:position] + junk + raw[position + n_lost :])
        try:
            read_dailydialog(Path(folder))
        except DataError as error:
            assert path.parent.name in str(error)
