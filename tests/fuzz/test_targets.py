"""Every reader, given damaged inputs: a `HarnessError`, or an answer, and nothing else; soon, and in little memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from bounds import bounds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import TARGETS, found

CASES = [(name, path) for name in TARGETS for path in found(name)]

PIECES = st.sampled_from(
    [b"[" * 200, b"{" * 200, b'{"a":' * 200, b"9" * 5000, b"1e999", b"-1", b"NaN", b"null", b'""', b"\\ud800", b"\x00",
     b"\xff", b"\xef\xbb\xbf", b"\n", b'"', b"'''", b"= =", b"true", b"1979-05-27", b"../x", b"=1+1", b"\x1b[2J"]
)  # fmt: skip
"""What breaks parsers, beside random bytes."""


@st.composite
def damaged(draw: st.DrawFn, whole: tuple[bytes, ...]) -> bytes:
    """Draws an input with parts cut out or put in."""
    content = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        cut = draw(st.sampled_from([0, 0, 1, 4, 64, len(content)]))
        content = content[:at] + draw(PIECES | st.binary(max_size=8)) + content[at + cut :]
    return content


def read(name: str, content: bytes, folder: Path) -> None:
    path = folder / name
    path.write_bytes(content)
    with bounds():
        TARGETS[name].read(path)


@pytest.mark.parametrize("name", TARGETS)
def test_damage_raises_harness_errors_only(name: str, tmp_path: Path) -> None:
    if not TARGETS[name].whole:
        pytest.skip("h5py is not installed: pip install 'erc-harness[models]'")

    @settings(max_examples=TARGETS[name].n_examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(TARGETS[name].whole))
    def check(content: bytes) -> None:
        read(name, content, tmp_path)

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_whole_inputs_are_read(name: str, tmp_path: Path) -> None:
    for content in TARGETS[name].whole:
        (tmp_path / name).write_bytes(content)
        if name == "samples.jsonl":  # one line of many: the end of the file says that the others are missing
            read(name, content, tmp_path)
        else:
            TARGETS[name].read(tmp_path / name)


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}/{case.name}" for name, case in CASES])
def test_what_was_found_stays_mended(name: str, case: Path, tmp_path: Path) -> None:
    read(name, case.read_bytes(), tmp_path)


LONG = ["[" * 100_000, '{"label":' * 50_000, "<think>" * 50_000, '{"label": ' + "9" * 5000 + "}", "joy not " * 20_000]


@pytest.mark.parametrize("text", LONG)
def test_long_answers_are_read(text: str, tmp_path: Path) -> None:
    read("answer.txt", text.encode(), tmp_path)
