"""Boards as records of Every Eval Ever: valid by its schemas, and, read back, the numbers of the board."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import f1_score

from harness.cli.main import main
from harness.data import Dataset, load_dataset
from harness.errors import IncompatibleRunsError
from harness.export.every_eval_ever import SCHEMA, to_every_eval_ever
from harness.leaderboard.build import build_leaderboard
from harness.leaderboard.leaderboard import Leaderboard
from harness.leaderboard.spec import load_spec
from harness.store import Layout, RunStore

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(__file__).parent / "schemas" / f"every_eval_ever-{SCHEMA}"
PLACE = re.compile(
    r"data/[^/]+/[^/]+/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(_samples\.jsonl|\.json)"
)
"""Source: every_eval_ever, README, "Data Structure", and the pattern of detailed_evaluation_results.file_path."""


@cache
def committed(board: str, root: Path = ROOT / "results") -> tuple[Leaderboard, RunStore]:
    layout = Layout(root)
    return build_leaderboard(board, load_spec(board, layout), RunStore(layout)), RunStore(layout)


@cache
def sample() -> Dataset:
    return load_dataset("sample")


def export(board: str, corpora: Mapping[str, Dataset] | None = None) -> dict[str, bytes]:
    return dict(to_every_eval_ever(*committed(board), corpora or {}))


def records(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(content) for name, content in files.items() if name.endswith(".json")]


def rows(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.decode().splitlines()]


def check(name: str, document: Any) -> None:
    """Fails unless a document follows a schema; skips where nothing can check that."""
    if os.environ.get("ERC_REQUIRE_ALL") == "1":
        import jsonschema
    else:
        jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install jsonschema")
    schema = json.loads((SCHEMAS / name).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    faults = [
        f"{list(fault.path)}: {fault.message}" for fault in jsonschema.Draft7Validator(schema).iter_errors(document)
    ]
    assert not faults


def test_the_schema_is_of_the_version_that_is_written() -> None:
    for path in SCHEMAS.glob("*.json"):
        assert json.loads(path.read_text())["version"] == SCHEMA


@pytest.mark.parametrize("board", ["sample", "emorynlp"])
def test_records_follow_the_schema_and_lie_where_the_datastore_wants_them(board: str) -> None:
    files = export(board)
    assert len(files) == len(committed(board)[0].entries)
    for name, content in files.items():
        record = json.loads(content)
        check("eval.schema.json", record)
        assert PLACE.fullmatch(name), name
        owner, _, model = record["model_info"]["id"].partition("/")
        assert name.split("/")[:4] == ["data", f"erc-harness-{board}", owner, model]
    assert len({record["evaluation_id"] for record in records(files)}) == len(files)


@pytest.mark.parametrize("board", ["sample", "emorynlp"])
def test_read_back_the_numbers_are_those_of_the_committed_board(board: str) -> None:
    view = json.loads((ROOT / "results" / "leaderboards" / board / "leaderboard.json").read_text())
    found = {record["model_info"]["additional_details"]["system"]: record for record in records(export(board))}
    (header,) = view["headers"]
    assert set(found) == {entry["predictor"] for entry in view["entries"]}
    for entry in view["entries"]:
        record = found[entry["predictor"]]
        assert record["model_info"]["name"] == (entry["title"] or entry["predictor"])
        assert record["model_info"]["additional_details"]["runs"] == ", ".join(entry["runs"])
        results = {r["evaluation_result_id"].removeprefix(f"{board}.test."): r for r in record["evaluation_results"]}
        assert {name: r["score_details"]["score"] for name, r in results.items()} == entry["metrics"]
        for name, result in results.items():
            details, metric = result["score_details"]["details"], result["metric_config"]
            assert int(details["n_utterances"]) == header["n_utterances"]
            assert int(details["n_seeds"]) == entry["n_seeds"]
            assert float(details["coverage"]) == entry["coverage"]
            assert result["source_data"]["additional_details"]["fingerprint_sha256"] == header["fingerprint"]
            assert metric["min_score"] <= result["score_details"]["score"] <= metric["max_score"]
            assert not metric["lower_is_better"]
            assert ("uncertainty" in result["score_details"]) == (name == header["metric"])
        uncertainty = results[header["metric"]]["score_details"]["uncertainty"]
        assert uncertainty["standard_error"]["value"] == entry["se"]
        interval = uncertainty["confidence_interval"]
        assert (interval["lower"], interval["upper"]) == (entry["low"], entry["high"])
        assert interval["confidence_level"] == pytest.approx(1 - view["alpha"])
        assert uncertainty["num_samples"] == header["n_utterances"]


def test_the_same_runs_give_the_same_bytes() -> None:
    assert export("sample") == export("sample")


def test_every_prediction_is_a_line_and_the_lines_give_the_scores() -> None:
    corpus = sample()
    files = export("sample", {"sample": corpus})
    split, board = corpus.split("test"), committed("sample")[0]
    by_name = {entry.predictor: entry for entry in board.entries}
    for name, content in files.items():
        if not name.endswith(".json"):
            continue
        record = json.loads(content)
        check("eval.schema.json", record)
        told = record["detailed_evaluation_results"]
        samples = files[told["file_path"]]
        assert told["file_path"] == name.removesuffix(".json") + "_samples.jsonl"
        assert told["checksum"] == hashlib.sha256(samples).hexdigest()
        lines = rows(samples)
        check("instance_level_eval.schema.json", lines[0])
        check("instance_level_eval.schema.json", lines[-1])
        entry = by_name[record["model_info"]["additional_details"]["system"]]
        assert len(lines) == told["total_rows"] == entry.n_seeds * len(split.gold)
        assert {line["evaluation_id"] for line in lines} == {record["evaluation_id"]}
        assert {line["model_id"] for line in lines} == {record["model_info"]["id"]}
        assert {line["evaluation_result_id"] for line in lines} == {"sample.test.accuracy"}
        right = [line["evaluation"]["score"] for line in lines]
        assert sum(right) / len(right) == pytest.approx(entry.metrics["accuracy"], abs=1e-9)
        scores = []
        for run in dict.fromkeys(line["metadata"]["run"] for line in lines):
            own = [line for line in lines if line["metadata"]["run"] == run]
            assert [line["sample_id"] for line in own] == list(split.gold)
            gold = [line["input"]["reference"][0] for line in own]
            said = [next((a["extracted_value"] for a in line["answer_attribution"]), "none") for line in own]
            assert gold == list(split.gold.values())
            labels = list(split.label_set.labels)
            scores.append(f1_score(gold, said, labels=labels, average="weighted", zero_division=0))
        assert sum(scores) / len(scores) == pytest.approx(entry.score, abs=1e-9)


def test_text_and_gold_that_may_not_be_passed_on_stay_out() -> None:
    corpus = replace(sample(), card=replace(sample().card, redistributable=False))
    name, content = next(item for item in export("sample", {"sample": corpus}).items() if "_samples" in item[0])
    assert PLACE.fullmatch(name)
    lines = rows(content)
    check("instance_level_eval.schema.json", lines[0])
    texts = {u.text for u in corpus.split("test").utterances()}
    assert not texts & {line["input"]["raw"] for line in lines}
    assert all(line["input"]["reference"] == [] and line["sample_hash"] is None for line in lines)
    assert Counter(line["evaluation"]["is_correct"] for line in lines)[True] > 0


def test_another_release_of_the_corpus_is_refused() -> None:
    other = sample().split("dev")
    corpus = replace(sample(), splits={"test": replace(other, name="test")})
    with pytest.raises(IncompatibleRunsError, match=f"(?s){other.dataset}.*leave out --instances"):
        export("sample", {"sample": corpus})


@pytest.mark.parametrize(
    ("model", "identity", "deployment", "availability"),
    [
        ({"backend": "transformers", "model": "Qwen/Qwen3-8B", "adapter": None},
         "Qwen/Qwen3-8B", "self_deployed", "open_weights"),
        ({"backend": "transformers", "model": "Qwen/Qwen3-8B", "adapter": "lora@0123"},
         "erc-harness/zero-shot", "self_deployed", "unknown"),
        ({"backend": "openai", "model": "gpt-4o", "server": "api.openai.com"},
         "openai/gpt-4o", "externally_managed", "closed_weights"),
        ({"backend": "openai", "model": "qwen", "server": "local"}, "erc-harness/zero-shot", "unknown", "unknown"),
        ({"backend": "lm-eval", "model": "hf", "model_args": "pretrained=x"},
         "erc-harness/zero-shot", "unknown", "unknown"),
    ],
)  # fmt: skip
def test_a_language_model_goes_by_its_own_name_where_it_has_one(
    tmp_path: Path, model: dict[str, Any], identity: str, deployment: str, availability: str
) -> None:
    run = next((ROOT / "results" / "runs" / "sample" / "test" / "zero-shot").iterdir())
    folder = tmp_path / "runs" / "sample" / "test" / "zero-shot" / run.name
    shutil.copytree(run, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["predictor"]["facts"]["model"] = model
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (record,) = records(dict(to_every_eval_ever(*committed("sample", tmp_path), {})))
    check("eval.schema.json", record)
    info = record["model_info"]
    assert (info["id"], info["developer"]) == (identity, identity.partition("/")[0])
    assert info["additional_details"]["deployment_type"] == deployment
    assert info["additional_details"]["model_availability"] == availability
    assert json.loads(info["additional_details"]["language_model"]) == model
    generation = record["evaluation_results"][0]["generation_config"]["additional_details"]
    assert generation["prompt_template"] == "zero-shot/v1"


def test_names_of_others_make_no_folders(tmp_path: Path) -> None:
    board, store = committed("sample")
    hostile = replace(board, board="a/b", entries=(replace(board.entries[0], title="../../etc/\x1b[31m:*?"),))
    ((name, content),) = to_every_eval_ever(hostile, store, {})
    assert PLACE.fullmatch(name)
    assert json.loads(content)["model_info"]["name"] == "../../etc/\x1b[31m:*?"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["erc-harness", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def test_the_command_writes_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ("export", "sample", "--results-dir", ROOT / "results", "--to", "every-eval-ever")
    assert command(monkeypatch, *ask, "-o", tmp_path / "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["board"], told["schema"]) == ("sample", SCHEMA)
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == set(told["files"])
    assert {name: (tmp_path / "out" / name).read_bytes() for name in written} == export("sample")

    for arguments, problem in (
        (ask, "-o DIR"),
        (
            ("export", "x/leaderboard.json", "--to", "every-eval-ever", "-o", tmp_path / "no"),
            "give the name of a board",
        ),
        ((*ask[:-1], "latex", "--instances"), "--instances is for --to every-eval-ever"),
        ((*ask[:-1], "every-eval"), "did you mean 'every-eval-ever'?"),
    ):
        assert command(monkeypatch, *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert problem in line
    assert not (tmp_path / "no").exists()
