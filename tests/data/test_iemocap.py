"""IEMOCAP may not be passed on: these tests write a small release in its layout, with invented words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import Dataset, load_dataset
from harness.data.iemocap import CARD, CARD_4, DEV_DIALOGUES, read_iemocap, read_iemocap_4
from harness.errors import DataError, DatasetNotFoundError
from harness.schema import Dialogue

# Dialogues per session of the release, 151 in all.
N_DIALOGUES = {1: 28, 2: 30, 3: 32, 4: 30, 5: 31}
DEV = [
    *("Ses04F_script01_3", "Ses04F_script02_1", "Ses04F_script02_2", "Ses04F_script03_1", "Ses04F_script03_2"),
    *("Ses04M_impro01", "Ses04M_impro02", "Ses04M_impro03", "Ses04M_impro04", "Ses04M_impro05", "Ses04M_impro06"),
    *("Ses04M_impro07", "Ses04M_impro08", "Ses04M_script01_1", "Ses04M_script01_2", "Ses04M_script01_3"),
    *("Ses04M_script02_1", "Ses04M_script02_2", "Ses04M_script03_1", "Ses04M_script03_2"),
]
"""Dev dialogues of protocol C, read off the data files of shenwzh3/DialogXL."""

TURNS = (
    ("F000", 0.5, "neu"),
    ("M000", 2.25, "xxx"),
    ("F001", 4.0, "exc"),
    ("MXX0", 5.5, None),
    ("M001", 6.75, "fru"),
    ("F002", 9.0, "hap"),
    ("M002", 10.5, "sur"),
    ("M003", 112.0, "ang"),
)


def write_dialogue(session: Path, name: str) -> None:
    """Writes a dialogue: transcripts in order of time, ratings grouped by speaker with the males first."""
    transcript = []
    for turn, start, _ in TURNS:
        transcript.append(f"{name}_{turn} [{start:08.4f}-{start + 1:08.4f}]: {turn} said, it's [LAUGHTER] fine: yes.")
        if turn == "F001":
            transcript.append("M: Yeah.")
    ratings = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for turn, start, code in sorted(TURNS, key=lambda t: (t[0][0] == "F", -t[1])):
        if code is not None:
            ratings += [
                f"[{start:.4f} - {start + 1:.4f}]\t{name}_{turn}\t{code}\t[2.5000, 2.5000, 2.5000]",
                "C-E2:\tNeutral;\t()",
                "C-F1:\tNeutral; Anger;\t(a remark)",
                "A-E3:\tval 3; act 2; dom  2;\t()",
                "",
            ]
    for folder, lines in (("transcriptions", transcript), ("EmoEvaluation", ratings)):
        (session / "dialog" / folder / f"{name}.txt").write_bytes("".join(f"{line}\n" for line in lines).encode())


def write_release(root: Path) -> Path:
    for number, n_dialogues in N_DIALOGUES.items():
        session = root / f"Session{number}"
        for folder in ("transcriptions", "EmoEvaluation/Categorical", "EmoEvaluation/Attribute"):
            (session / "dialog" / folder).mkdir(parents=True)
        names = list(DEV) if number == 4 else []
        names += [f"Ses0{number}F_impro{i:02}" for i in range(1, n_dialogues - len(names) + 1)]
        for name in names:
            write_dialogue(session, name)
        (session / "dialog" / "transcriptions" / f"._{names[0]}.txt").write_bytes(b"\x00\x05\x16\x07\x00Mac OS X")
        (session / "dialog" / "EmoEvaluation" / f"._{names[0]}.txt").write_bytes(b"\x00\x05\x16\x07\x00Mac OS X")
        (session / "dialog" / "EmoEvaluation" / "Categorical" / f"{names[0]}_e2_cat.txt").write_text("not read\n")
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory; tests that damage a file restore it."""
    root = tmp_path_factory.mktemp("data")
    write_release(root / "iemocap")
    return root


@pytest.fixture(scope="module")
def six(data: Path) -> Dataset:
    return load_dataset("iemocap", data)


def first(dataset: Dataset) -> Dialogue:
    return dataset.split("train").dialogues[0]


def test_splits_are_those_of_protocol_c(six: Dataset) -> None:
    assert {name: len(split.dialogues) for name, split in six.splits.items()} == {"train": 100, "dev": 20, "test": 31}
    assert {d.id for d in six.split("dev").dialogues} == set(DEV) == DEV_DIALOGUES
    assert {d.attributes for d in six.split("test").dialogues} == {(("session", "Session5"),)}
    sessions = {d.attributes[0][1] for d in six.split("train").dialogues}
    assert sessions == {"Session1", "Session2", "Session3", "Session4"}


def test_turns_are_in_order_of_time_although_ratings_are_not(six: Dataset) -> None:
    for split in six.splits.values():
        for dialogue in split.dialogues:
            assert [u.id.rpartition("_")[2] for u in dialogue.utterances] == [turn for turn, _, _ in TURNS]


def test_a_transcript_out_of_order_is_sorted_by_start_time(data: Path, six: Dataset) -> None:
    path = data / "iemocap/Session1/dialog/transcriptions/Ses01F_impro01.txt"
    good = path.read_bytes()
    try:
        path.write_bytes(b"".join(sorted(good.splitlines(keepends=True))))  # by name, females first
        assert load_dataset("iemocap", data).fingerprint == six.fingerprint
    finally:
        path.write_bytes(good)


def test_a_turn_has_its_speaker_its_text_and_its_label(six: Dataset) -> None:
    dialogue = first(six)
    assert dialogue.id == "Ses01F_impro01"
    assert [u.label for u in dialogue.utterances] == ["neu", None, "exc", None, "fru", "hap", None, "ang"]
    assert dialogue.utterances[3].id == "Ses01F_impro01_MXX0"
    assert dialogue.utterances[3].text == "MXX0 said, it's [LAUGHTER] fine: yes."
    assert {u.speakers for u in dialogue.utterances} == {("Ses01_F",), ("Ses01_M",)}
    assert all(u.speakers[0][-1] == u.id.rpartition("_")[2][0] for u in dialogue.utterances)


def test_there_are_ten_speakers_and_two_of_them_are_tested(six: Dataset) -> None:
    names = {split: {u.speakers for u in six.split(split).utterances()} for split in six.splits}
    assert len(set.union(*names.values())) == 10
    assert names["test"] == {("Ses05_F",), ("Ses05_M",)}
    assert not names["test"] & (names["train"] | names["dev"])
    for card in (CARD, CARD_4):
        assert "The test split, Session5, holds two speakers" in card.table_notes[0]


def test_four_emotions_merge_excitement_and_drop_frustration(data: Path, six: Dataset) -> None:
    four = load_dataset("iemocap-4", data)
    assert [u.label for u in first(four).utterances] == ["neu", None, "hap", None, None, "hap", None, "ang"]
    assert [u.id for u in first(four).utterances] == [u.id for u in first(six).utterances]
    assert four.split("test").label_counts() == {"hap": 62, "sad": 0, "neu": 31, "ang": 31}
    assert six.split("test").label_counts() == {"hap": 31, "sad": 0, "neu": 31, "ang": 31, "exc": 31, "fru": 31}
    for name, split in four.splits.items():
        assert split.fingerprint != six.split(name).fingerprint


def test_label_ids_follow_cosmic() -> None:
    assert CARD.label_set.labels == ("hap", "sad", "neu", "ang", "exc", "fru")
    assert CARD_4.label_set.labels == ("hap", "sad", "neu", "ang")
    for card in (CARD, CARD_4):
        assert [card.label_set.index(label) for label in card.label_set.labels] == list(range(len(card.label_set)))
        assert card.label_set.neutral == "neu" and not card.redistributable


@pytest.mark.parametrize(
    ("folder", "old", "new", "problem"),
    [
        ("transcriptions", b" [002.2500-003.2500]", b"", "is not a turn; expected a form like"),
        ("transcriptions", b"M: Yeah.", b"X: Yeah.", "'X: Yeah.' is not a turn"),
        ("transcriptions", b"_M000 ", b"_F000 ", "duplicate id 'Ses01F_impro01_F000'"),
        ("transcriptions", b"_M000 ", b"_M007 ", "turn 'Ses01F_impro01_M007' is not rated in "),
        ("transcriptions", b"M003 said", b"M003 \x8dsaid", "byte 0x8d is not UTF-8 or cp1252"),
        ("EmoEvaluation", b"\txxx\t", b"\tbad\t", "unknown label 'bad'; expected one of ['neu', "),
        ("EmoEvaluation", b"_M000\t", b"_M001\t", "duplicate id 'Ses01F_impro01_M001'"),
        ("EmoEvaluation", b"[2.2500 - 3", b"[2.2500 3", "is not a rated turn; expected a form like"),
    ],
)
def test_bad_input_is_named_with_its_file_and_line(
    data: Path, folder: str, old: bytes, new: bytes, problem: str
) -> None:
    path = data / "iemocap/Session1/dialog" / folder / "Ses01F_impro01.txt"
    good = path.read_bytes()
    assert good.count(old) == 1
    line = good[: good.index(old)].count(b"\n") + 1
    try:
        path.write_bytes(good.replace(old, new))
        with pytest.raises(DataError) as caught:
            read_iemocap(data / "iemocap")
    finally:
        path.write_bytes(good)
    assert f"{path}, line {line}: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(("folder", "n_lines"), [("transcriptions", 5), ("EmoEvaluation", 13)])
def test_a_file_cut_off_is_refused(data: Path, folder: str, n_lines: int) -> None:
    path = data / "iemocap/Session2/dialog" / folder / "Ses02F_impro03.txt"
    good = path.read_bytes()
    try:
        path.write_bytes(b"\n".join(good.split(b"\n")[:n_lines]) + b"\n")
        with pytest.raises(DataError, match=r"transcriptions/Ses02F_impro03\.txt.* cut off"):
            read_iemocap(data / "iemocap")
        path.write_bytes(b"")
        with pytest.raises(DataError, match=rf"{folder}/Ses02F_impro03\.txt: the file is empty"):
            read_iemocap(data / "iemocap")
        path.unlink()
        with pytest.raises(DataError, match=r"holds 29 transcripts|EmoEvaluation/Ses02F_impro03\.txt: cannot be read"):
            read_iemocap(data / "iemocap")
    finally:
        path.write_bytes(good)


def test_a_dev_dialogue_under_another_name_is_missed(data: Path) -> None:
    for folder in ("transcriptions", "EmoEvaluation"):
        path = data / "iemocap/Session4/dialog" / folder / "Ses04M_impro05.txt"
        path.rename(path.with_name("Ses04M_impro09.txt"))
    try:
        with pytest.raises(DataError, match=r"Session4: dialogue 'Ses04M_impro05' is missing; expected it for the dev"):
            read_iemocap_4(data / "iemocap")
    finally:
        for folder in ("transcriptions", "EmoEvaluation"):
            path = data / "iemocap/Session4/dialog" / folder / "Ses04M_impro09.txt"
            path.rename(path.with_name("Ses04M_impro05.txt"))


def test_whoever_has_no_release_is_told_whom_to_ask(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"missing Session1, .*; ask USC-SAIL"):
        load_dataset("iemocap", tmp_path)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["transcriptions", "EmoEvaluation"]),
    st.binary(max_size=60),
    st.integers(0, 900),
    st.integers(0, 60),
)
def test_no_damage_raises_anything_but_a_data_error(
    data: Path, folder: str, junk: bytes, position: int, n_lost: int
) -> None:
    path = data / "iemocap/Session1/dialog" / folder / "Ses01F_impro01.txt"
    good = path.read_bytes()
    try:
        path.write_bytes(good[:position] + junk + good[position + n_lost :])
        read_iemocap(data / "iemocap")
    except DataError as error:
        assert path.name in str(error)
    finally:
        path.write_bytes(good)
