"""Video descriptions: what a file may hold, of which utterances, and how it grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.data import load_dataset
from harness.data.descriptions import DescriptionFile, read_descriptions
from harness.errors import ConfigError, DataError, StoreError


def write(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "videos.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_descriptions_by_split_and_utterance(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '{"split": "test", "utterance_id": "dia1_utt0", "description": "A man lifts his cup.", "described_by": "me"}',
        "",
        '{"description": "Café, évening.", "utterance_id": "dia0_utt3", "split": "train"}',
        '{"split": "train", "utterance_id": "dia1_utt0", "description": "Rain.", "described_by": "me"}',
    )
    read = read_descriptions(path)
    assert list(read.of("train").items()) == [("dia0_utt3", "Café, évening."), ("dia1_utt0", "Rain.")]
    assert read.of("test") == {"dia1_utt0": "A man lifts his cup."}
    assert read.of("dev") == {}
    assert read.described_by == ("me",)
    assert sorted(read.texts()) == ["A man lifts his cup.", "Café, évening.", "Rain."]
    with pytest.raises(ConfigError, match="describes splits one by one"):
        read.of(None)


def test_without_splits_descriptions_are_of_any_split(tmp_path: Path) -> None:
    read = read_descriptions(write(tmp_path, GOOD))
    assert read.of("train") == read.of("test") == read.of(None) == {"a": "A cup."}


GOOD = '{"utterance_id": "a", "description": "A cup."}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"split": "train", "utterance_id": "b", "description": "A cup."}',
            "line 3: some lines name a split and some",
        ),
        (GOOD, "line 3, column 'utterance_id': duplicate utterance id 'a', first on line 1"),
        ('{"utterance_id": "b", "description": "A cup.", "label": "joy"}', "line 3: unknown key 'label'"),
        ('{"utterance_id": "b"}', "line 3: key 'description' is missing"),
        ('{"utterance_id": "b", "description": null}', "line 3, column 'description': found None; expected a string"),
        ('{"utterance_id": "b", "description": " "}', "line 3, column 'description': ' ' is blank"),
        ('{"utterance_id": 3, "description": "A cup."}', "line 3, column 'utterance_id': found 3; expected a string"),
        ('["b", "A cup."]', "line 3: found list; expected an object"),
        ('{"utterance_id": "b", "descr', "line 3: broken JSON at character"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path, GOOD, "", line)
    with pytest.raises(DataError) as caught:
        read_descriptions(path)
    assert str(caught.value).startswith(f"{path}, {message}")


def test_an_unknown_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1, column 'split': unknown split 'valid'; expected one of .'train', "):
        read_descriptions(write(tmp_path, '{"split": "valid", "utterance_id": "a", "description": "A cup."}'))


def test_no_file_and_no_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_descriptions(tmp_path / "absent.jsonl")
    with pytest.raises(DataError, match="the file is empty; expected one description a line"):
        read_descriptions(write(tmp_path, "", " "))


# --- of which utterances ------------------------------------------------------------------------------------------

IDS = {"train": {"a", "b"}, "dev": {"a", "c"}, "test": {"d"}}


def lines(split: str | None, *ids: str) -> list[str]:
    where = {} if split is None else {"split": split}
    return [json.dumps({**where, "utterance_id": i, "description": "A cup."}) for i in ids]


@pytest.mark.parametrize(("split", "ids"), [(None, "bcd"), ("train", "ab"), ("dev", "ac")])
def test_descriptions_of_the_dataset_are_accepted(tmp_path: Path, split: str | None, ids: str) -> None:
    read_descriptions(write(tmp_path, *lines(split, *ids))).check(IDS)


@pytest.mark.parametrize(
    ("split", "ids", "problem"),
    [
        (None, "bx", "not an utterance of any split of the dataset: 'x'; expected ids like 'a'"),
        ("train", "abd", "not an utterance of split 'train' of the dataset: 'd'; expected ids like 'a'"),
        (
            "test",
            "vwxyz",
            "not an utterance of split 'test' of the dataset: 'v', 'w', 'x' and 2 more; expected ids like 'd'",
        ),
        (None, "abc", "in several splits of the dataset: 'a'; add \"split\" to each line"),
    ],
)
def test_descriptions_of_no_utterance_or_of_several_are_refused(
    tmp_path: Path, split: str | None, ids: str, problem: str
) -> None:
    path = write(tmp_path, *lines(split, *ids))
    with pytest.raises(DataError) as caught:
        read_descriptions(path).check(IDS)
    assert str(caught.value) == f"{path}: {problem}"


def test_many_ids_of_meld_are_in_several_splits(data_dir: Path, tmp_path: Path) -> None:
    """Why lines carry their split: its dialogue ids restart at 0 in each."""
    meld = load_dataset("meld", data_dir)
    ids = meld.utterance_ids
    assert [len(ids[a] & ids[b]) for a, b in (("dev", "train"), ("test", "train"), ("test", "dev"))] == [675, 1740, 670]
    with pytest.raises(DataError, match="in several splits of the dataset: .* more; add"):
        read_descriptions(write(tmp_path, *lines(None, *sorted(ids["test"])))).check(ids)
    read_descriptions(write(tmp_path, *lines("test", *sorted(ids["test"])))).check(ids)


# --- a file that grows --------------------------------------------------------------------------------------------


def test_a_file_grows_line_by_line_and_is_taken_up_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "videos.jsonl"
    with DescriptionFile(path, "me") as file:
        file.add("train", "a", "Café.")
        assert read_descriptions(path).of("train") == {"a": "Café."}
    with DescriptionFile(path, "me") as file:
        assert file.described == {"train": {"a": "Café."}}
        file.add("dev", "a", "A cup.")
    assert read_descriptions(path).by_split == {"train": {"a": "Café."}, "dev": {"a": "A cup."}}
    assert path.read_text(encoding="utf-8").splitlines()[0] == (
        '{"split": "train", "utterance_id": "a", "description": "Café.", "described_by": "me"}'
    )


def test_half_a_line_is_cut_off_wherever_the_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "videos.jsonl"
    with DescriptionFile(path, "me") as file:
        file.add("train", "a", "Café.")
        first = path.stat().st_size
        file.add("train", "b", "Évening.")
    whole = path.read_bytes()
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        with DescriptionFile(path, "me") as file:
            assert file.described == {"train": {"a": "Café."}}
            file.add("train", "b", "Évening.")
        assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ["my notes", "my notes\n", '{"a": 1}\n', '{"a": 1}', GOOD + "\nnotes"])
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises((DataError, ConfigError)):
        DescriptionFile(path, "me")
    assert path.read_text() == content


def test_a_file_is_of_one_describer_and_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "videos.jsonl"
    with DescriptionFile(path, "me") as file:
        file.add("train", "a", "A cup.")
        with pytest.raises(StoreError, match=r"another process is writing .*videos.jsonl; wait for it"):
            DescriptionFile(path, "me")
    with pytest.raises(ConfigError, match="was described by 'me', not by 'you'; give another file with -o"):
        DescriptionFile(path, "you")
    with pytest.raises(ConfigError, match="was described by somebody else, not by 'me'"):
        DescriptionFile(write(tmp_path / "new", GOOD), "me")
    with pytest.raises(StoreError, match="cannot write .*: Is a directory; give another file with -o"):
        DescriptionFile(tmp_path, "me")
