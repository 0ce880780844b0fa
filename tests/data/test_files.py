from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.files import UniqueIds, Value, parse_json, read_lines, read_text, read_toml
from harness.errors import DataError

FILE = Path("corpus.json")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.txt"
    path.write_bytes(b"\xef\xbb\xbfhello\nyou\n")
    assert read_text(path) == "hello\nyou\n"
    assert list(read_lines(path)) == [(1, "hello\n"), (2, "you\n")]


def test_blank_lines_are_skipped_but_counted(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("a\n\n  \nb", encoding="utf-8")
    assert list(read_lines(path)) == [(1, "a\n"), (4, "b")]


def test_an_undecodable_byte_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fine\nfine\nI\x92m late\n")
    for read in (read_text, lambda p: list(read_lines(p))):
        with pytest.raises(DataError, match=r"latin\.txt, line 3: byte 0x92 is not UTF-8; expected .*UTF-8"):
            read(path)


def test_cp1252_is_read_where_it_is_accepted(tmp_path: Path) -> None:
    text = "I\u2019m \u2014 caf\u00e9\u2026\nsecond \u201cline\u201d\n"
    path = tmp_path / "copy.txt"
    for raw in (
        text.encode(),
        text.encode("cp1252"),
        text.encode("cp1252").decode("latin-1").encode(),  # a copy that took cp1252 for Latin-1
        text.splitlines(keepends=True)[0].encode() + text.splitlines(keepends=True)[1].encode("cp1252"),
    ):
        path.write_bytes(raw)
        assert read_text(path, cp1252=True) == text


def test_a_byte_that_cp1252_lacks_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(b"fine\nbad \x9d byte\n")
    with pytest.raises(DataError, match=r"broken\.txt, line 2: byte 0x9d is not UTF-8 or cp1252"):
        read_text(path, cp1252=True)


@pytest.mark.parametrize("raw", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "empty.txt"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"empty\.txt: the file is empty; expected data"):
        read_text(path)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.txt"):
        for read in (read_text, read_toml, lambda p: list(read_lines(p))):
            with pytest.raises(DataError, match=r": cannot be read: "):
                read(path)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('{"a": 1,\n "b": [1, 2', 2, "broken JSON"),
        ('{"a": 1}\n{"b": 2}', 2, "Extra data"),
        ("[" * 100_000, None, "nested too deeply"),
        ("[" + "9" * 5_000 + "]", None, "broken JSON"),
    ],
)
def test_broken_json_is_a_data_error(text: str, line: int | None, problem: str) -> None:
    where = rf"corpus\.json, line {line}: " if line else r"corpus\.json: "
    with pytest.raises(DataError, match=where + f".*{problem}"):
        parse_json(text, FILE)


def test_a_document_on_a_line_names_that_line() -> None:
    with pytest.raises(DataError, match=r"corpus\.json, line 7: broken JSON at character 2: .*cut off"):
        parse_json('{"', FILE, line=7)


def test_broken_toml_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    for text in ("a = 1\nb = [1,", "a = " + "[" * 50_000, "a = " + "9" * 5_000, "d = 2020-13-45"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"card\.toml: broken TOML"):
            read_toml(path)


def test_values_know_their_place() -> None:
    scene = parse_json('{"scenes": [{"name": "a"}, {"name": 3}]}', FILE, line=4).fields(("scenes",))["scenes"]
    assert scene.items()[0].fields(("name",))["name"].text() == "a"
    with pytest.raises(
        DataError, match=r"corpus\.json, line 4, column 'scenes\[1\]\.name': found 3; expected a string"
    ):
        scene.items()[1].fields(("name",))["name"].text()


@pytest.mark.parametrize(
    ("content", "ask", "problem"),
    [
        ({"a": 1}, lambda v: v.fields(("b",), ("a",)), "key 'b' is missing; expected the keys b"),
        ({"a": 1, "c": 1}, lambda v: v.fields(("a",), ("b",)), "unknown key 'c'; expected only a, b"),
        ([], lambda v: v.items(), "the list is empty; expected at least one item"),
        ({}, lambda v: v.items(), "found dict; expected a list"),
        ([1], lambda v: v.mapping(), "found list; expected an object"),
        (" ", lambda v: v.text(), "' ' is blank; expected some text"),
        (None, lambda v: v.text(blank=True), "found None; expected a string"),
        (1, lambda v: v.flag(), "found 1; expected true or false"),
        ("rage", lambda v: v.choice(["joy"]), r"unknown label 'rage'; expected one of \['joy'\]"),
        ("\ud800", lambda v: v.text(), ".*half of a surrogate pair"),
        ({"\ud800": 1}, lambda v: v.mapping(), ".*half of a surrogate pair"),
    ],
)
def test_a_value_of_another_kind_is_refused(content: object, ask: object, problem: str) -> None:
    with pytest.raises(DataError, match=rf"corpus\.json: {problem}"):
        ask(Value(content, FILE))  # type: ignore[operator]


def test_an_id_may_be_claimed_once() -> None:
    ids = UniqueIds("scene")
    ids.claim("c1", Value("c1", FILE, line=2))
    ids.claim("c2", Value("c2", FILE, line=2))
    with pytest.raises(DataError, match=r"line 9: duplicate scene id 'c1', first on line 2; expected unique ids"):
        ids.claim("c1", Value("c1", FILE, line=9))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_data_error(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any"
        path.write_bytes(raw)
        for read in (read_text, lambda p: read_text(p, cp1252=True), read_toml, lambda p: list(read_lines(p))):
            try:
                read(path)
            except DataError as error:
                assert str(path) in str(error) and "\n" not in str(error)
        try:
            parse_json(raw.decode("latin-1"), path)
        except DataError as error:
            assert str(path) in str(error)
