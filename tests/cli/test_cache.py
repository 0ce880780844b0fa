"""`cache stats|why|prune`: what the response store holds, for people and for scripts; deleting asks first."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.data import load_dataset
from harness.llm import BACKENDS, Request, Response
from harness.llm.cache.store import ResponseCache, request_key
from harness.prompting import Message, Prompt

Cli = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResponseCache:
    """Two answers of model 'a' and one of 'b', where the commands look by default."""
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    cache = ResponseCache(tmp_path / "cache" / "responses.sqlite")
    request = Request(Prompt((Message("user", "?"),), "chat"), ("joy",))
    for i, (model, usd) in enumerate((("a", 0.5), ("a", None), ("b", 0.25))):
        key, fields = request_key({"backend": "openai", "model": model}, request, f"prompt {i}")
        cache.put(key, fields, Response("stop", "joy", n_prompt_tokens=100, n_completion_tokens=1), usd, model)
    return cache


def test_stats_for_people(cli: Cli, store: ResponseCache) -> None:
    result = cli("cache", "stats")
    assert result.code == 0
    assert f"{store.path}: 3 answers, " in result.out
    row = next(line.split() for line in result.out.splitlines() if line.startswith("a "))
    assert row[:9] == ["a", "openai", "2", "200", "2", "0.5000", "+", "1", "unknown"]


def test_stats_for_scripts(cli: Cli, store: ResponseCache) -> None:
    found = cli("cache", "stats", "--json").json
    assert (found["path"], found["n_entries"]) == (str(store.path), 3)
    assert found["n_bytes"] > 0
    assert [(m["model"], m["backend"], m["n_entries"], m["usd"], m["n_usd_unknown"]) for m in found["models"]] == [
        ("a", "openai", 2, 0.5, 1),
        ("b", "openai", 1, 0.25, 0),
    ]


def test_no_store_is_empty_and_stays_away(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "responses.sqlite"
    assert cli("cache", "stats", "--cache", path, "--json").json["n_entries"] == 0
    assert cli("cache", "prune", "--all", "--cache", path, "--json").json["n_deleted"] == 0
    assert not path.parent.exists()


def test_without_a_terminal_prune_needs_yes(cli: Cli, store: ResponseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    refused = cli("cache", "prune", "--model", "a")
    assert refused.code == 2
    assert refused.err == f"error: this would delete 2 answers from {store.path}; add --yes to do it\n"
    assert store.stats().n_entries == 3
    assert cli("cache", "prune", "--model", "a", "--yes", "--json").json["n_deleted"] == 2
    assert [row.model for row in store.stats().models] == ["b"]


@pytest.mark.parametrize(("typed", "n_left", "code"), [("n\n", 3, 130), ("y\n", 0, 0)])
def test_at_a_terminal_prune_asks(store: ResponseCache, typed: str, n_left: int, code: int) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "harness", "cache", "prune", "--all"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        os.write(ours, typed.encode())
        _, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert f"Delete 3 answers from {store.path}?" in err
    assert process.returncode == code
    assert store.stats().n_entries == n_left


def test_prune_wants_to_know_what(cli: Cli, store: ResponseCache) -> None:
    result = cli("cache", "prune", "--yes")
    assert (result.code, result.out) == (2, "")
    assert "--model NAME, --older-than DAYS or --corrupt, or else --all alone" in result.err
    assert store.stats().n_entries == 3
    assert cli("cache", "prune", "--older-than", 1, "--yes", "--json").json["n_deleted"] == 0


def test_why_is_about_predictors_that_prompt(cli: Cli, store: ResponseCache) -> None:
    result = cli("cache", "why", "majority", "--dataset", "toy", "--utterance", "x")
    assert result.code == 2
    assert "predictor 'majority' sends no prompts" in result.err


PLUGIN = """
import itertools
from harness import PredictorCard, register_predictor
from harness.llm import Response, register_backend
from harness.predictors.prompted import AskedPredictor

@register_backend("canned")
class Canned:
    repeats_prompt = False

    def __init__(self, model, calls):
        self.model = model

    def identity(self):
        return {"backend": "canned", "model": self.model.model}

    def preferred_form(self):
        return "plain"

    def render(self, prompt):
        return prompt.text

    def count_tokens(self, text):
        return None

    def answer(self, requests, keep):
        for number, _ in enumerate(requests):
            response = Response("stop", "joy", n_prompt_tokens=1, n_completion_tokens=1)
            keep(number, response)
            yield number, response

    def close(self):
        pass

@register_predictor("lab/ask", card=PredictorCard(family="llm", context="past"))
class Ask(AskedPredictor):
    pass
"""


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ask.py"
    path.write_text(PLUGIN)
    yield path
    BACKENDS._rows.pop("canned", None)


def test_why_asks_as_a_run_does(cli: Cli, store: ResponseCache, asker: Path) -> None:
    def options(*more: object) -> list[object]:
        params = ("-P", "backend=canned", "-P", "model=m", *more)
        return ["lab/ask", "--dataset", "toy", "--plugin", asker, *params]

    def why(*more: object) -> Any:
        return cli("cache", "why", *options(*more), "--utterance", utterance)

    dataset = load_dataset("toy", Path(os.environ["ERC_DATA_DIR"]))
    utterance = list(dataset.split("test").gold)[-1]
    before = why("--json").json
    assert (
        not before["stored"] and before["nearest"]["field"] == "backend"
    )  # only answers of another back end are there
    assert cli("run", *options()).code == 0
    assert cli("cache", "why", *options(), "--utterance", utterance, "--json").json == {
        "stored": True, "key": before["key"], "nearest": None,
    }  # fmt: skip
    assert "the answer is not asked again" in why().out
    assert (
        "differs in decoding.max_new_tokens:\n  this request: 5\n  stored:       16"
        in why("-P", "max_new_tokens=5").out
    )
    other = why("-P", "template=zero-shot/v2", "--json").json["nearest"]
    assert other["differing"] == ["prompt"] and other["wanted"] != other["stored"]
