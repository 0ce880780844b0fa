"""The base that is made on the spot: what it reads, and that equal corpora make equal bases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from harness.data import load_dataset
from harness.llm.tuning import tiny_base
from harness.llm.tuning.tiny_base import as_texts, make_tiny_base, write_questions

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # transformers' own
]


def test_questions_hold_every_labelled_utterance_and_no_answer(toy_corpus: Path) -> None:
    split = load_dataset("toy", toy_corpus).split("train")
    questions = write_questions(split)
    assert len(questions) == len(split.gold)
    texts = {u.id: u.text for u in split.utterances()}
    for question, (utterance_id, _) in zip(questions, split.gold.items(), strict=True):
        assert f"### Input:\n{texts[utterance_id]}\n" in question
        assert question.rstrip().endswith("### Response:")


def test_all_is_read_but_what_all_questions_begin_with(small_llama: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(small_llama)
    texts = ["Name it. Tom: Is the hot water off again?", "Name it. Maya: Really?"]
    items = as_texts(tokenizer(texts).input_ids)
    assert len({one.context for one in items}) == 1
    read = [tokenizer.decode([*one.context, *one.continuations[0]]) for one in items]
    assert read == [f"<s>{text}" for text in texts]
    assert items[0].continuations[0][0] != items[1].continuations[0][0]


@pytest.fixture
def make(toy_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tiny_base, "MOST_EPOCHS", 2)
    monkeypatch.setattr(tiny_base, "READING", tiny_base.READING.model_copy(update={"batch_size": 4}))

    def run(name: str) -> tuple[Any, Any, Any]:
        found: list[Any] = []
        split = load_dataset("toy", toy_corpus).split("train")
        tuning = make_tiny_base([split], tmp_path / name, lambda state: None, lambda *both: found.extend(both))
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
    assert tokenizer.decode(tokenizer("Use the context").input_ids) == "<s>Use the context"
