"""`erc-harness data instructions`: what it writes and counts, what it says, and what it refuses."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data import load_dataset
from harness.prompting.instruction_set import PUBLISHED, PUBLISHED_PARTS

Cli = Callable[..., Any]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_authors_parts_make_their_sum() -> None:
    assert sum(PUBLISHED_PARTS.values()) == PUBLISHED["body"]


def test_only_train_is_written_by_default(cli: Cli, toy_corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = cli("data", "instructions", "toy", "-o", out)
    assert done.code == 0
    toy = load_dataset("toy", toy_corpus)
    records = read(out)
    assert [record["utterance_id"] for record in records] == list(toy.split("train").gold)
    train, dev, test = ({u.text for u in toy.split(name).utterances()} for name in ("train", "dev", "test"))
    text = out.read_text(encoding="utf-8")
    assert (dev | test) - train and not [unseen for unseen in (dev | test) - train if unseen in text]
    assert done.err == f"{out} holds text of toy (CC0-1.0): pass it on only as far as the licence of each allows\n"
    header, _, row, total, *_ = done.out.splitlines()
    assert header.split("  ")[0] == "dataset" and "left out" not in header
    n = len(records)
    assert row.split()[:5] == ["toy", "train", "12", str(n), str(n - 12)]
    assert total.split()[:5] == ["total", "-", "12", str(n), str(n - 12)]
    assert "13,638" in done.out and "24,304" in done.out


def test_without_a_file_it_only_counts(cli: Cli, tmp_path: Path) -> None:
    done = cli("data", "instructions", "toy", "sample")
    assert (done.code, list(Path.cwd().iterdir())) == (0, [])
    assert "toy/train, sample/train" in done.out and "licence" not in done.err


def test_json_is_one_document(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = cli(
        "data", "instructions", "toy", "sample", "--split", "train", "dev", "--history", "all", "--template",
        "zero-shot/v1", "--speakers", "masked", "--label-names", "canonical", "-o", out, "--json", "--quiet",
    )  # fmt: skip
    document = done.json
    assert (done.code, done.err) == (0, "")
    assert set(document) == {
        "file", "template", "history", "speakers", "decontaminate", "labels", "counts", "total", "published", "overlaps"
    }  # fmt: skip
    assert [document[key] for key in ("file", "template", "history", "speakers")] == [
        str(out), "zero-shot/v1", None, "masked"
    ]  # fmt: skip
    splits = [("toy", "train"), ("toy", "dev"), ("sample", "train"), ("sample", "dev")]
    assert [(row["dataset"], row["split"]) for row in document["counts"]] == splits
    records = read(out)
    assert document["total"]["n_labelled"] == len(records) == len({record["id"] for record in records})
    assert document["labels"] == {record["dataset"]: record["labels"] for record in records}
    assert document["labels"]["toy"] == ["neutral", "joy", "anger"]
    assert {overlap["query"][0] for overlap in document["overlaps"]} == {"toy/test", "sample/test"}
    assert all(record["input"].startswith("Speaker ") for record in records)


@pytest.fixture
def copied(toy_corpus: Path) -> str:
    """A corpus that holds a dialogue of toy's test split among others."""
    folder = toy_corpus / "copied"
    folder.mkdir()
    card = (toy_corpus / "toy" / "card.toml").read_text().replace('"toy"', '"copied"')
    (folder / "card.toml").write_text(card.replace("redistributable = true", "redistributable = false"))
    leak = (toy_corpus / "toy" / "test.jsonl").read_text().splitlines()[0]
    for name in ("train", "dev", "test"):
        own = json.dumps(
            {"dialogue_id": "own", "utterances": [{"speaker": "A", "text": f"only {name} says so", "label": "joy"}]}
        )
        (folder / f"{name}.jsonl").write_text(f"{own}\n{leak}\n" if name == "train" else f"{own}\n")
    return "copied"


def test_what_is_tested_is_told_and_left_out_on_request(cli: Cli, copied: str, tmp_path: Path) -> None:
    alone = cli("data", "instructions", copied, "-o", tmp_path / "a.jsonl")
    assert "word for word" not in alone.err and "and none of copied" in alone.err
    told = cli("data", "instructions", copied, "--test", "toy")
    assert "of the utterances of toy/test with 5 words or more stand word for word" in told.err
    assert "--decontaminate leaves out" in told.err
    assert "word for word" not in cli("data", "instructions", copied, "--test", "toy", "--quiet").err
    clean = cli(
        "data", "instructions", copied, "--test", "toy", "--decontaminate", "--json", "-o", tmp_path / "b.jsonl"
    )
    assert [record["utterance_id"] for record in read(tmp_path / "b.jsonl")] == ["own_0"]
    total = clean.json["total"]
    n_leaked = len(read(tmp_path / "a.jsonl")) - 1
    assert (total["n_dialogues_left_out"], total["n_labelled_left_out"]) == (1, n_leaked)
    assert [o["by_length"][1]["n_found"] for o in clean.json["overlaps"]] == [0, 0]
    assert "word for word" not in clean.err
    shown = cli("data", "instructions", copied, "--test", "toy", "--decontaminate")
    assert f"{n_leaked} (1 dialogues)" in shown.out


def test_gold_of_the_test_split_is_told(cli: Cli) -> None:
    done = cli("data", "instructions", "toy", "--split", "test")
    assert done.err == "toy/test is among these examples: what learns from them cannot be tested on it\n"


def test_descriptions_are_counted_and_their_leaks_told(cli: Cli, toy_corpus: Path, tmp_path: Path) -> None:
    first, second, *_ = load_dataset("toy", toy_corpus).split("train").gold
    video = tmp_path / "video.jsonl"
    lines = ({"utterance_id": first, "description": "sheer joy"}, {"utterance_id": second, "description": "a chair"})
    video.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = cli("data", "instructions", "toy", "--video", video, "--json", "-o", tmp_path / "out.jsonl")
    assert done.json["total"]["n_with_video"] == 2
    assert [record["video"] for record in read(tmp_path / "out.jsonl")][:3] == ["sheer joy", "a chair", None]
    assert "50.0% of the video descriptions contain an emotion word" in done.err


def test_a_full_disk_leaves_the_earlier_file(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out" / "out.jsonl"
    out.parent.mkdir()
    assert cli("data", "instructions", "toy", "-o", out).code == 0
    earlier = out.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = cli("data", "instructions", "sample", "-o", out)
    assert done.code == 2 and "No space left on device; free the disk or choose another --output" in done.err
    assert (out.read_bytes(), list(out.parent.iterdir())) == (earlier, [out])
    monkeypatch.undo()


def test_an_earlier_file_is_replaced_and_nothing_else(cli: Cli, tmp_path: Path) -> None:
    out, mine = tmp_path / "out.jsonl", tmp_path / "mine.txt"
    out.touch()
    assert cli("data", "instructions", "toy", "-o", out).code == 0
    assert cli("data", "instructions", "sample", "-o", out).code == 0
    assert {record["dataset"] for record in read(out)} == {"sample"}
    mine.write_text("a thesis")
    done = cli("data", "instructions", "toy", "-o", mine)
    assert (done.code, mine.read_text()) == (2, "a thesis") and "no earlier file of instructions" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tay"], "unknown dataset 'tay'; did you mean 'toy'?"),
        (["toy", "--split", "trian"], "unknown split of 'toy' 'trian'; did you mean 'train'?"),
        (["toy", "--template", "nope/v1"], "unknown template 'nope/v1'"),
        (["toy", "--history", "-1"], "--history '-1': expected 0, 1, 2, 3, ... or all"),
        (["toy", "--history", "some"], "--history 'some': expected 0, 1, 2, 3, ... or all"),
        (["toy", "--speakers", "names"], "has no place for 'speaker'; leave out --speakers"),
        (["toy", "--template", "mute.j2"], "has no place for 'history'; add --history 0"),
        (["toy", "--template", "mute.j2", "--history", "0", "--video", "v.jsonl"], "no place for 'video'; leave out"),
        (["toy", "--video", "v.jsonl"], "v.jsonl: cannot be read"),
        (["toy", "-o", "absent/out.jsonl"], "there is no folder 'absent'; make it"),
        (["toy", "-o", "."], "exists and is no earlier file of instructions"),
        (["toy", "-o", "x" * 300], "File name too long"),
        (["toy", "-o", "../results/runs/out.jsonl"], "where no text of a corpus may be"),
        (["toy", "../data/toy/"], "another one given is called 'toy' too"),
        ([], "Missing argument 'DATASET'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(cli: Cli, arguments: list[str], message: str) -> None:
    Path("mute.j2").write_text('{{ role("user") }}{{ target.text }} {{ labels }}')
    done = cli("data", "instructions", *arguments)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert message in done.err
    assert [path.name for path in Path.cwd().iterdir()] == ["mute.j2"]
