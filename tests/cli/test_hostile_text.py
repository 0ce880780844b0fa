"""Text and code of others on the command line: what a terminal obeys, what is secret, and what runs as the user."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.output import clean, note, print_json, print_table, print_text, print_traceback
from harness.redaction import hide_secrets, hide_secrets_in

Cli = Callable[..., Any]

COMMANDS = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u2066\u200b\u2028\ud800\x00\r\x08"
"""Titles, clearing, colours, reversed text, invisible ones, a lone surrogate, carriage returns and backspaces."""

KEY = "correct-horse-battery"


def obeyed(text: str) -> list[str]:
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def test_nothing_that_a_terminal_obeys_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_text(f"name {COMMANDS}\n\tsecond line é 情 👍")
    print_table([{"predictor": COMMANDS, "score": 1}])
    note(f"error: {COMMANDS}")
    try:
        raise ValueError(COMMANDS)
    except ValueError as error:
        print_traceback(error)
    print_json({"text": COMMANDS, COMMANDS: ["é 情"]})
    out, err = capsys.readouterr()
    assert obeyed(out) == obeyed(err) == []
    assert "\tsecond line é 情 👍" in out
    assert json.loads(out[out.index("{") :])["text"] == COMMANDS  # JSON loses nothing
    assert clean("a\nb\tc") == "a b c"


def test_paths_that_are_no_text_are_named(cli: Cli) -> None:
    result = cli("show", "\udcff\x1b[2J")
    assert (result.code, result.out, obeyed(result.err)) == (2, "", [])
    assert result.err.startswith("error: unknown run")


def test_hostile_names_reach_no_terminal(cli: Cli, toy_corpus: Path) -> None:
    card = toy_corpus / "toy" / "card.toml"
    card.write_text(card.read_text().replace('title = "Toy"', 'title = "\\u001B[2J\\u202Etoy"'))
    for command in (("data", "show", "toy"), ("list", "datasets"), ("data", "show", "toy", "--json")):
        result = cli(*command)
        assert (result.code, obeyed(result.out + result.err)) == (0, []), command


def test_a_plugin_is_announced_once_as_code(cli: Cli, plugin: Path) -> None:
    result = cli("run", "lab/mine", "--dataset", "toy", "--plugin", plugin, "--seed", "0")
    assert result.code == 0, result.err
    assert result.err.count("a plugin is code and runs with all your rights") == 1
    assert str(plugin) in result.err
    assert cli("run", "lab/mine", "--dataset", "toy", "--plugin", plugin, "--quiet").err == ""
    assert "is code" not in cli("list", "predictors").err


def test_no_secret_reaches_errors_tracebacks_or_manifests(
    cli: Cli, write_plugin: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_API_KEY", KEY)
    failing = write_plugin("failing", "return [", f"raise OSError('refused {KEY} sk-abc123')\n        return [")
    result = cli("run", "lab/failing", "--dataset", "toy", "--plugin", failing)
    assert (result.code, "refused [secret] [secret]" in result.err, KEY in result.err) == (3, True, False)
    [log] = tmp_path.glob("results/runs/toy/test/lab/failing/*/error.log")
    assert "refused [secret]" in log.read_text()
    assert KEY not in log.read_text()

    facts = f"    def facts(self):\n        return {{'used': ['{KEY}']}}\n\n"
    telling = write_plugin("telling", "    def predict", f"{facts}    def predict")
    assert cli("run", "lab/telling", "--dataset", "toy", "--plugin", telling).code == 0
    [manifest] = tmp_path.glob("results/runs/toy/test/lab/telling/*/manifest.json")
    assert json.loads(manifest.read_text())["predictor"]["facts"] == {"used": ["[secret]"]}

    refused = cli("run", "lab/telling", "--dataset", "toy", "--plugin", telling, "-P", f"word={KEY}")
    assert (refused.code, KEY in refused.err) == (2, False)
    assert "a manifest would publish it" in refused.err


def test_a_bug_keeps_its_traceback_and_its_exit_code(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError(f"\x1b[2J{KEY}")

    monkeypatch.setenv("LAB_TOKEN", KEY)
    monkeypatch.setattr("harness.cli.listing.print_table", broken)
    result = cli("list", "metrics")
    assert (result.code, KEY in result.err, obeyed(result.err)) == (1, False, [])
    assert "Traceback" in result.err
    assert "KeyError" in result.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:pass@host/v1", "https://[secret]@host/v1"),
        ("token hf_abcdefghijklmnopqrst", "token [secret]"),
        ("api_key=abc", "api_key=[secret]"),
        ("joy at 12:30", "joy at 12:30"),
        ("http://host:8000/v1", "http://host:8000/v1"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown
    assert hide_secrets_in({"a": [text, 1, None]}) == {"a": [shown, 1, None]}


@pytest.mark.parametrize(
    "facts",
    [
        {"imported": "x"}, {"imported": {}}, {"imported": {"from": "lm-eval"}},
        {"imported": {"from": 1, "samples": {}}},
        {"imported": {"from": "lm-eval", "samples": {"name": "a", "sha256": "b"}}}, {"model": "x"},
    ],
)  # fmt: skip
def test_facts_that_no_run_has_are_named_and_hide_no_other_run(cli: Cli, tmp_path: Path, facts: Any) -> None:
    whole = Path(cli("run", "majority", "--dataset", "toy", "--json").json["runs"][0]["path"])
    document = json.loads((whole / "manifest.json").read_text())
    broken = whole.with_name("seed7-00000000")
    shutil.copytree(whole, broken)
    document["predictor"]["facts"] |= facts
    document["sha256"] = ""
    (broken / "manifest.json").write_text(json.dumps(document))
    listed = {run["name"]: run for run in cli("list", "runs", "--json").json["runs"]}
    assert listed[whole.name]["predictor"] == "majority"
    assert "is corrupt" in str(listed[broken.name])
    shown = cli("show", broken)
    assert (shown.code, len(shown.err.strip().splitlines())) == (2, 1)
