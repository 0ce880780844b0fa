from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.tables import Row, Turn, group_turns, read_table
from harness.errors import DataError
from harness.schema import LabelSet, Utterance

COLUMNS = ("id", "text", "label")


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode())
    return path


def test_rows_know_their_line_and_their_cells(tmp_path: Path) -> None:
    path = write(tmp_path, 'label,id,text\r\njoy,1,"two\nlines, ""quoted"""\r\n\r\nfear,2,  x \r\n')
    rows = list(read_table(path, COLUMNS))
    assert [row.line for row in rows] == [2, 5]
    assert rows[0].cells == {"label": "joy", "id": "1", "text": 'two\nlines, "quoted"'}
    assert rows[1].text("text") == "  x "
    assert rows[1].integer("id") == 2
    assert Row(path, 1, {"id": " 007 "}).integer("id") == 7
    assert rows[1].label("label", LabelSet(("joy", "fear"))) == "fear"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("id,text\n1,a\n", "line 1, column 'label'", "column 'label' is missing; expected id,text,label"),
        ("id,text,label,text\n1,a,joy,b\n", "line 1, column 'text'", "column 'text' is there twice"),
        ("id,text,label,age\n1,a,joy,3\n", "line 1", "unknown column 'age'; expected id,text,label"),
        ("id,text,label\n", "line 2", "no row below the header"),
        ("id,text,label\n1,a,joy\n2,b\n", "line 3", "the row has 2 cells; expected 3"),
        ("id,text,label\n1,a,joy,\n", "line 2", "the row has 4 cells; expected 3"),
        ('id,text,label\n1,a,joy\n2,"b\n\n', "line 3", "broken CSV in the row that starts here"),
        ('id,text,label\n1,"a"b,joy\n', "line 2", "broken CSV"),
        ('id,text,label\n1,"' + "x" * 200_000, "line 2", "field larger than field limit"),
    ],
)
def test_a_broken_table_names_its_line(tmp_path: Path, text: str, place: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        list(read_table(write(tmp_path, text), COLUMNS))
    assert f"table.csv, {place}: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize("cell", ["", "1.0", "-1", "1_0", "x", "٣", "\x1c12", "9" * 5_000])
def test_only_digits_are_a_number(cell: str) -> None:
    with pytest.raises(DataError, match=r"t\.csv, line 3, column 'id': .* is not a number; expected digits"):
        Row(Path("t.csv"), 3, {"id": cell}).integer("id")


def test_blank_text_and_unknown_labels_are_refused() -> None:
    row = Row(Path("t.csv"), 3, {"text": " ", "label": "Joy"})
    with pytest.raises(DataError, match=r"t\.csv, line 3, column 'text': the cell is blank"):
        row.text("text")
    with pytest.raises(
        DataError, match=r"line 3, column 'label': unknown label 'Joy'; expected one of \['joy', 'fear'\]"
    ):
        row.label("label", LabelSet(("joy", "fear")))


def turn(dialogue_id: str, number: int, line: int) -> Turn:
    utterance = Utterance(f"{dialogue_id}_{number}", ("A",), "text", "joy")
    return Turn(Row(Path("t.csv"), line, {}), dialogue_id, number, utterance, (("line", str(line)),))


def test_turns_are_grouped_by_dialogue_and_sorted_by_number() -> None:
    dialogues = group_turns([turn("b", 7, 2), turn("a", 0, 3), turn("b", 3, 4)], "n")
    assert [d.id for d in dialogues] == ["b", "a"]
    assert [u.id for u in dialogues[0].utterances] == ["b_3", "b_7"]
    assert dialogues[0].attributes == (("line", "2"),)


def test_a_number_twice_names_both_lines() -> None:
    with pytest.raises(DataError, match=r"t\.csv, line 9, column 'n': duplicate id 'a_1', first on line 2"):
        group_turns([turn("a", 1, 2), turn("a", 1, 9)], "n")


@settings(deadline=None)
@given(st.text(alphabet='id,text\nlabel"\r\x00é1', max_size=60))
def test_no_text_raises_anything_but_a_data_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows = list(read_table(write(Path(folder), "id,text,label\n" + text), COLUMNS))
        except DataError as error:
            assert "table.csv" in str(error)
        else:
            assert rows and all(set(row.cells) == set(COLUMNS) for row in rows)
