"""The base that is made on the spot: what it reads, and that equal corpora make equal bases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from harness.data import load_dataset
from harness.llm.tuning import tiny_base
from harness.llm.tuning.tiny_base import PIECE_TOKENS, cut_texts, dialogue_texts, make_tiny_base

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # transformers' own
]


def test_a_dialogue_is_read_without_its_labels(toy_corpus: Path) -> None:
    split = load_dataset("toy", toy_corpus).split("train")
    texts = dialogue_texts(split)
    assert len(texts) == len(split.dialogues)
    lines = [line for text in texts for line in text.splitlines()]
    said = [f"{u.view().speaker}: {u.text}" for dialogue in split.dialogues for u in dialogue.utterances]
    assert lines == said
    assert not {"neutral", "joy", "anger"} & set(" ".join(lines).replace(".", "").split())


def test_pieces_put_together_are_the_texts(small_llama: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(small_llama)
    texts = ["Tom: Is the hot water off again?\nMaya: Really?", "A: " + "Put every single pan we've got on, now! " * 40]
    pieces = list(cut_texts(texts, tokenizer))
    assert all(one.context == (0,) and len(one.continuations[0]) <= PIECE_TOKENS for one in pieces)
    read = [token for one in pieces for token in one.continuations[0]]
    assert tokenizer.decode(read) == "".join(f"{text}</s>" for text in texts)
    assert len(pieces) > len(texts)


@pytest.fixture
def make(toy_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tiny_base, "READING", tiny_base.READING.model_copy(update={"epochs": 2, "batch_size": 4}))

    def run(name: str) -> tuple[Any, Any, Any]:
        found: list[Any] = []
        split = load_dataset("toy", toy_corpus).split("train")
        tuning = make_tiny_base([split], ["Name the emotion:"], tmp_path / name, lambda state: None,
                                lambda *both: found.extend(both))  # fmt: skip
        model, tokenizer = found
        return model, tokenizer, tuning

    return run


def test_it_is_the_same_each_time_and_has_learned_to_go_on(make: Any, capfd: pytest.CaptureFixture[str]) -> None:
    (one, tokenizer, tuning), (other, _, _) = make("one"), make("other")
    assert capfd.readouterr() == ("", "")
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))
    assert tuning.n_trainable == tuning.n_parameters == sum(p.numel() for p in one.parameters())
    losses = [row["loss"] for row in tuning.history]
    assert losses[-1] < losses[0]
    assert tokenizer.decode(tokenizer("Name the emotion:").input_ids) == "<s>Name the emotion:"
