"""`erc-harness export-tasks`: what it writes, what it says, and that prompts are those of our own runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.data import load_dataset
from harness.predictors import PREDICTORS
from harness.predictors.build import build_predictor

Cli = Callable[..., Any]


def test_it_says_what_was_written_and_what_to_type(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "my tasks"
    done = cli("export-tasks", "toy", "--to", "lm-eval", folder)
    assert (done.code, done.err) == (0, "")
    *paths, blank, counted, command = done.out.splitlines()
    assert sorted(paths) == sorted(str(path) for path in folder.iterdir()) and not blank
    n_documents = len(load_dataset("toy", tmp_path / "data").split("test").gold)
    assert counted == f"{n_documents} documents of toy, split test; to run them:"
    words = shlex.split(command)
    assert words[0] == "lm_eval" and words[words.index("--include_path") + 1] == str(folder)
    assert words[words.index("--tasks") + 1] == "erc_toy_choice,erc_toy_generate"


def test_json_holds_the_keys_that_scripts_rely_on(cli: Cli, tmp_path: Path) -> None:
    done = cli("export-tasks", "toy", tmp_path / "out", "--split", "dev", "--form", "chat", "--json")
    document = done.json
    assert set(document) == {"dataset", "split", "dir", "tasks", "n_documents", "files", "command"}
    assert (document["dataset"], document["split"]) == ("toy", "dev")
    assert document["tasks"] == ["erc_toy_dev_choice", "erc_toy_dev_generate"]
    lines = (Path(document["dir"]) / "documents.jsonl").read_text().splitlines()
    assert len(lines) == document["n_documents"]
    assert all(json.loads(line)["system"] for line in lines)
    assert document["command"].endswith("--apply_chat_template")


def test_prompts_are_those_of_a_run(cli: Cli, tmp_path: Path) -> None:
    assert cli("export-tasks", "toy", tmp_path / "out", "--window", 2, "--label-names", "canonical").code == 0
    params = {"model": "dummy", "backend": "lm-eval", "form": "plain", "window": 2, "label_names": "canonical"}
    predictor: Any = build_predictor(PREDICTORS.get("zero-shot"), params, 0)
    split = load_dataset("toy", tmp_path / "data").split("test")
    views = [view for dialogue in split.dialogues for view in dialogue.views("past", split.label_set)]
    expected = [(q.utterance_id, q.request.prompt.text) for q in predictor.questions(views)]
    documents = [json.loads(line) for line in (tmp_path / "out" / "documents.jsonl").read_text().splitlines()]
    assert [(document["id"], document["prompt"]) for document in documents] == expected
    assert [split.label_set.labels[document["gold"]] for document in documents] == list(split.gold.values())


def test_what_cannot_be_written_is_told_in_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    done = cli("export-tasks", "toy", tmp_path / "full")
    assert done.code == 2 and "not empty and no earlier export" in done.err
    card = tmp_path / "data" / "toy" / "card.toml"
    card.write_text(card.read_text().replace("redistributable = true", "redistributable = false"))
    done = cli("export-tasks", "toy", tmp_path / "out")
    assert done.code == 2 and "add --allow-text" in done.err and len(done.err.splitlines()) == 1
    assert cli("export-tasks", "toy", tmp_path / "out", "--allow-text").code == 0
    done = cli("export-tasks", "toy", tmp_path / "out", "--to", "helm")
    assert done.code == 2 and "lm-eval" in done.err
