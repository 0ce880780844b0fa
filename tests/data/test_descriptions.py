"""Video descriptions: what a file may hold, and how often descriptions name a label."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.descriptions import LabelWords, label_words, read_descriptions
from harness.errors import DataError


def write(folder: Path, *lines: str) -> Path:
    path = folder / "videos.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_descriptions_by_utterance(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '{"utterance_id": "dia1_utt0", "description": "A man lifts his cup."}',
        "",
        '{"description": "Café, évening.", "utterance_id": "dia0_utt3"}',
    )
    assert list(read_descriptions(path).items()) == [
        ("dia1_utt0", "A man lifts his cup."),
        ("dia0_utt3", "Café, évening."),
    ]


GOOD = '{"utterance_id": "a", "description": "A cup."}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
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


def test_no_file_and_no_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_descriptions(tmp_path / "absent.jsonl")
    with pytest.raises(DataError, match="the file is empty; expected one description a line"):
        read_descriptions(write(tmp_path, "", " "))


def test_label_words_are_whole_words_in_any_case() -> None:
    descriptions = {
        "a": "Her face shows Joy and some anger.",
        "b": "An enjoyable, overjoyed crowd.",
        "c": "There is no emotion.",
        "d": "No, emotion runs high; JOY!",
        "e": "A cup.",
    }
    found = label_words(descriptions, ["joy", "anger", "fear", "no_emotion", "joy"])
    assert found == LabelWords(5, (("joy", 2), ("anger", 1), ("fear", 0), ("no_emotion", 2)), 3)
    assert found.share == 0.6
    assert label_words({}, ["joy"]).share == 0.0
