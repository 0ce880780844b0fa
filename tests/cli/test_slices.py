"""`slices` as its user types it: naming systems, slices of one's own, what has to be at hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from harness.slices import SLICES

Cli = Callable[..., Any]

RESULTS = Path(__file__).parents[2] / "results"
SAMPLE = ("--results-dir", RESULTS)

OWN = """
from harness import register_slice

@register_slice("lab/question", meaning="whether the utterance asks", values=("asks", "tells"))
def question(sources):
    for dialogue, position in sources.targets():
        yield "asks" if dialogue.utterances[position].text.endswith("?") else "tells"
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Forgets afterwards which slices the test registered."""
    for name in SLICES:  # a module registers its functions only while it is imported: that must come before the copy
        SLICES.row(name)
    before = dict(SLICES._rows)
    yield
    SLICES._rows.clear()
    SLICES._rows.update(before)


def folder_of(predictor: str) -> Path:
    return min((RESULTS / "runs/sample/test" / predictor).iterdir())


def test_a_run_brings_its_other_seeds_along(cli: Cli) -> None:
    run = folder_of("stratified")
    by_path = cli("slices", run, *SAMPLE, "--slice", "turn", "--json")
    assert by_path.json["n_seeds"] == [len(list(run.parent.iterdir()))]
    assert cli("slices", run.name, *SAMPLE, "--slice", "turn", "--json").out == by_path.out
    by_name = cli("slices", "stratified", "--dataset", "sample", *SAMPLE, "--slice", "turn", "--json")
    assert by_name.out == by_path.out
    alone = cli("slices", run, *SAMPLE, "--slice", "turn", "--scope", "checkpoint", "--json").json
    assert (alone["scope"], alone["n_seeds"]) == ("checkpoint", [1])


def test_two_systems_are_compared_and_written(cli: Cli) -> None:
    pair = ("slices", "tfidf-svm", "--versus", "majority", "--dataset", "sample", *SAMPLE)
    shown = cli(*pair)
    assert shown.code == 0
    assert "A: tfidf-svm (1 seed)" in shown.out
    assert "Holm correction over" in shown.out
    assert "! not shown: other-corpus (add --other DATASET), video (add --video FILE), seen-in-train" in shown.out
    assert cli(*pair, "--to", "csv", "-o", "slices.csv").err.strip() == "wrote slices.csv"
    lines = list(csv.DictReader(StringIO(Path("slices.csv").read_text(encoding="utf-8"))))
    document = cli(*pair, "--json").json
    assert [line["value"] for line in lines] == [row["value"] for row in document["rows"]]
    assert cli(*pair, "--metric", "accuracy", "--json").json["metric"] == "accuracy"


def test_other_corpora_and_videos_add_their_slices(cli: Cli, tmp_path: Path) -> None:
    video = tmp_path / "videos.jsonl"
    video.write_text(json.dumps({"split": "test", "utterance_id": "test-001-04", "description": "A cup."}) + "\n")
    asked = cli(
        "slices", "majority", "--dataset", "sample", *SAMPLE, "--slice", "video", "other-corpus", "--other", "toy",
        "--video", video, "--json",
    )  # fmt: skip
    rows = {(row["slice"], row["value"]): row["n_utterances"] for row in asked.json["rows"]}
    assert rows["video", "described"] == 1
    assert rows["whole split", ""] == 1 + rows["video", "not described"]
    assert ("other-corpus", "shared") not in rows
    video.write_text(json.dumps({"split": "train", "utterance_id": "train-001-01", "description": "A cup."}) + "\n")
    refused = cli("slices", "majority", "--dataset", "sample", *SAMPLE, "--video", video)
    assert (refused.code, "describes no utterance of split 'test'" in refused.err) == (2, True)


def test_a_plugin_adds_a_slice(cli: Cli, tmp_path: Path) -> None:
    plugin = tmp_path / "my_slice.py"
    plugin.write_text(OWN)
    listed = cli("list", "slices", "--plugin", plugin, "--json").json["slices"]
    assert listed[-1]["name"] == "lab/question"
    assert listed[-1]["values"] == ["asks", "tells"]
    assert listed[-1]["origin"] == "my_slice.py"
    own = cli(
        "slices", "majority", "--dataset", "sample", *SAMPLE, "--plugin", plugin, "--slice", "lab/question", "--json"
    )
    texts = [u.text for u in _sample_targets()]
    rows = {row["value"]: row["n_utterances"] for row in own.json["rows"][1:]}
    n_asks = sum(text.endswith("?") for text in texts)
    assert rows == {"asks": n_asks, "tells": len(texts) - n_asks}
    assert "lab/question" in cli("slices", "majority", "--dataset", "sample", *SAMPLE).out


def _sample_targets() -> list[Any]:
    from harness.data import load_dataset

    return [u for u in load_dataset("sample").split("test").utterances() if u.label is not None]


def test_list_says_what_slices_need(cli: Cli) -> None:
    shown = cli("list", "slices")
    assert shown.code == 0
    assert "emotion-shift" in shown.out
    assert "videos" in shown.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("majority",), "or add --dataset DATASET to give a system's name"),
        (("nope", "--dataset", "sample"), "unknown system 'nope'"),
        (("majority", "--dataset", "sample", "--slice", "shift"), "erc-harness list slices"),
        (
            ("majority", "--dataset", "sample", "--slice", "video"),
            "slice 'video' needs more than the split: add --video",
        ),
        (("majority", "--dataset", "sample", "--other", "sample"), "is the corpus that was predicted"),
        (("majority", "--dataset", "sample", "--metric", "ece"), "is not tested"),
        (("majority", "--dataset", "sample", "--to", "html"), "unknown format 'html'"),
        (("tfidf-svm", "--dataset", "meld"), "dataset 'meld' is not in"),
    ],
)
def test_what_does_not_work_is_said_in_one_line(cli: Cli, arguments: tuple[str, ...], problem: str) -> None:
    refused = cli("slices", *arguments, *SAMPLE)
    assert refused.code == 2
    assert refused.out == ""
    assert refused.err.count("\n") == 1
    assert problem in refused.err


def test_without_a_data_folder_it_says_what_to_type(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERC_DATA_DIR")
    refused = cli("slices", "tfidf-svm", "--dataset", "meld", *SAMPLE)
    assert (refused.code, "--data-dir DIR" in refused.err) == (2, True)
