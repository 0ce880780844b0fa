"""Every document that others write, damaged at random: a `HarnessError` of one line, or an answer, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.data.descriptions import read_descriptions
from harness.data.jsonl import SAMPLE, jsonl_spec, read_jsonl
from harness.errors import HarnessError
from harness.export import export_leaderboard, read_leaderboard
from harness.leaderboard.spec import load_spec
from harness.literature import load_literature
from harness.llm.reading.parsing import read_answer
from harness.llm.request import Response
from harness.llm.tables.prices import PriceTable
from harness.llm.tables.read import read_own
from harness.prompting.label_names import name_labels
from harness.schema import LabelSet
from harness.store.layout import Layout
from harness.store.run_log import RunLog

ROOT = Path(__file__).resolve().parents[2]

PIECES = st.sampled_from(
    [b"[" * 200, b"{" * 200, b'{"a":' * 200, b"9" * 5000, b"1e999", b"-1", b"NaN", b"null", b'""', b"\\ud800", b"\x00",
     b"\xff", b"\xef\xbb\xbf", b"\n", b'"', b"'''", b"= =", b"true", b"1979-05-27", b"../x", b"=1+1", b"\x1b[2J"]
)  # fmt: skip
"""What breaks parsers, beside random bytes."""


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draws a file with parts cut out or put in."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        cut = draw(st.sampled_from([0, 0, 1, 4, 64, len(content)]))
        content = content[:at] + draw(PIECES | st.binary(max_size=8)) + content[at + cut :]
    return content


def read_board(path: Path) -> None:
    layout = Layout(path.parent)
    board = layout.board_spec("mine")
    board.parent.mkdir(parents=True, exist_ok=True)
    board.write_bytes(path.read_bytes())
    load_spec("mine", layout).jobs()


def read_export(path: Path) -> None:
    export_leaderboard(read_leaderboard(path.read_bytes().decode(errors="replace")), "latex")


def read_corpus(path: Path) -> None:
    folder = path.parent / "corpus"
    folder.mkdir(exist_ok=True)
    (folder / "test.jsonl").write_bytes(path.read_bytes())
    read_jsonl(folder, LabelSet(("joy", "anger", "sadness", "neutral")))


def read_card(path: Path) -> None:
    folder = path.parent / "own"
    folder.mkdir(exist_ok=True)
    (folder / "card.toml").write_bytes(path.read_bytes())
    jsonl_spec(folder)


def read_log(path: Path) -> None:
    RunLog(path, "0" * 8, {"code": "x"}, "2026-01-01").close()


LOG = b"".join(
    json.dumps(record).encode() + b"\n"
    for record in (
        {"config_id": "0" * 8, "made_with": {"code": "x"}, "started": "2026-01-01"},
        {"fit_seconds": 1.5},
        {"dialogue_id": "d", "seconds": 0.1, "predictions": [["u", "joy", "ok", {"joy": 1.0}, None]]},
    )
)

DOCUMENTS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "board.toml": ((ROOT / "results/leaderboards/sample/board.toml").read_bytes(), read_board),
    "leaderboard.json": ((ROOT / "results/leaderboards/sample/leaderboard.json").read_bytes(), read_export),
    "literature.toml": (
        b'[sources.own]\ntitle = "T"\ncite = "C"\nwhere = "W"\nkind = "paper"\n[protocols.own]\ncorpus = "meld"\n'
        b'release = "r"\n[features.own]\ntitle = "f"\n[[tables]]\nsource = "own"\nkey = "one"\nname = "T1"\n'
        b'[[tables.rows]]\nsystem = "s"\nname = "S"\nprovenance = "own"\nfeatures = "own"\nverified = false\n'
        b"values.own = { weighted_f1 = 65.30 }\naverage = { weighted_f1 = 65.30 }\n",
        lambda path: load_literature([path]),
    ),
    "prices.toml": (
        (ROOT / "harness/llm/tables/prices.toml").read_bytes(),
        lambda path: read_own(PriceTable, path, "x"),
    ),
    "card.toml": ((SAMPLE / "card.toml").read_bytes(), read_card),
    "test.jsonl": ((SAMPLE / "test.jsonl").read_bytes()[:2000], read_corpus),
    "descriptions.jsonl": (b'{"utterance_id": "u", "description": "d", "split": "test"}\n' * 2, read_descriptions),
    "run.log.jsonl": (LOG, read_log),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_damage_raises_harness_errors_only(name: str, tmp_path: Path) -> None:
    original, read = DOCUMENTS[name]
    path = tmp_path / name

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(original))
    @example(original)
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except HarnessError as error:
            assert str(error).strip()

    check()


SCRAPS = ["joy", "not ", "{", '"label": ', "[", "<think>", "</think>", "\n", "\ud800", "I can't ", "1e999", "**", "1. "]


@settings(max_examples=300, deadline=None)
@given(st.text() | st.lists(st.sampled_from(SCRAPS)).map("".join))
@example("[" * 100_000)
@example('{"label":' * 50_000)
@example("<think>" * 50_000)
@example('{"label": ' + "9" * 5000 + "}")
@example("joy not " * 20_000)
def test_any_answer_is_read(text: str) -> None:
    names = name_labels(LabelSet(("joy", "anger", "neutral")), "natural")
    reading = read_answer(Response("stop", text), names)
    assert (reading.status == "ok") == (reading.label is not None)
