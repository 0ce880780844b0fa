"""What is trained on against the tokenizer itself: no answer is cut, and history goes from its far end only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import load_dataset
from harness.llm.local.tokens import PromptTokens
from harness.llm.tuning.examples import Examples, encode_examples, encode_questions, whole_texts
from harness.prompting import Window, load_template, name_labels
from harness.prompting.instructions import Instruction, build_instructions

TEMPLATE = load_template("dialogue-llm/v1")


@pytest.fixture(scope="module")
def tokenizer(small_llama: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(small_llama)


def some_instructions(window: int | None, n: int = 36) -> list[Instruction]:
    split = load_dataset("sample").split("train")
    return list(build_instructions(split, name_labels(split.label_set, "natural"), Window(window)))[:n]


INSTRUCTIONS = some_instructions(None)
"""With all that was said before, so that some are long."""


def length_of(instruction: Instruction, tokenizer: Any) -> int:
    """Returns the tokens of prompt, answer and end token, the tokenizer's own first token included."""
    text = instruction.prompt(TEMPLATE, "plain").text
    return len(tokenizer(text + instruction.answer).input_ids) + 1


def encode(instructions: Sequence[Instruction], tokenizer: Any, limit: int) -> Examples:
    return encode_examples(instructions, TEMPLATE, "plain", PromptTokens(tokenizer), limit)


@settings(max_examples=12, deadline=None)
@given(limit=st.integers(60, 500))
def test_history_is_shortened_from_its_far_end_and_never_an_answer(tokenizer: Any, limit: int) -> None:
    examples = encode(INSTRUCTIONS, tokenizer, limit)
    dropped, too_long = [], 0
    assert len(examples.items) == len(INSTRUCTIONS)
    for instruction, item in zip(INSTRUCTIONS, examples.items, strict=True):
        fitting, n = instruction, 0
        while length_of(fitting, tokenizer) > limit and fitting.scene.history:
            fitting, n = fitting.without_farthest_line(), n + 1
        assert fitting.scene.history == instruction.scene.history[n:]
        text = tokenizer.decode([*item.context, *item.continuations[0]])
        assert text == f"<s>{fitting.prompt(TEMPLATE, 'plain').text}{instruction.answer}</s>"
        dropped.append(n)
        too_long += length_of(fitting, tokenizer) > limit
    assert (examples.n_lines_dropped, examples.n_too_long) == (sum(dropped), too_long)
    assert examples.n_shortened == sum(n > 0 for n in dropped)
    assert examples.n_tokens == sum(len(one.context) + len(one.continuations[0]) for one in examples.items)


def test_what_no_limit_can_hold_is_kept_whole_and_counted(tokenizer: Any) -> None:
    examples = encode(INSTRUCTIONS, tokenizer, 1)
    assert examples.n_too_long == len(INSTRUCTIONS)
    assert examples.n_lines_dropped == sum(len(one.scene.history) for one in INSTRUCTIONS) > 0
    alone = encode(some_instructions(0), tokenizer, 10_000)
    assert examples.items == alone.items and alone.n_too_long == alone.n_shortened == 0


def test_the_answer_is_what_is_asked_for_later(tokenizer: Any) -> None:
    instructions = some_instructions(1)
    questions = encode_questions(instructions, TEMPLATE, "plain", PromptTokens(tokenizer))
    examples = encode(instructions, tokenizer, 10_000)
    for instruction, item, question in zip(instructions, examples.items, questions, strict=True):
        gold = instruction.names.label_set.index(instruction.label)
        assert item.context == question.context
        assert item.continuations == ((*question.continuations[gold], tokenizer.eos_token_id),)


def test_whole_texts_learn_all_but_their_first_token(tokenizer: Any) -> None:
    examples = encode(INSTRUCTIONS[:5], tokenizer, 10_000)
    for before, after in zip(examples.items, whole_texts(examples.items), strict=True):
        assert len(after.context) == 1
        assert (*after.context, *after.continuations[0]) == (*before.context, *before.continuations[0])


@pytest.mark.parametrize("lacking", [("pad",), ("eos",), ("eos", "pad"), ("bos",), ("bos", "eos", "pad")])
def test_a_tokenizer_may_lack_special_tokens(small_llama: Path, lacking: Sequence[str]) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(small_llama)
    for name in lacking:
        setattr(tokenizer, f"{name}_token", None)
    examples = encode(INSTRUCTIONS[:8], tokenizer, 10_000)
    end = "" if "eos" in lacking else "</s>"
    for instruction, item in zip(INSTRUCTIONS, examples.items, strict=False):
        text = tokenizer.decode([*item.context, *item.continuations[0]])
        assert text == f"<s>{instruction.prompt(TEMPLATE, 'plain').text}{instruction.answer}{end}"
        assert item.context[0] == 0 and item.context.count(0) == 1


def test_a_conversation_is_learned_as_it_is_asked(tokenizer: Any) -> None:
    instructions = some_instructions(1, 5)
    tokens = PromptTokens(tokenizer)
    examples = encode_examples(instructions, TEMPLATE, "chat", tokens, 10_000)
    for instruction, item in zip(instructions, examples.items, strict=True):
        prompt = instruction.prompt(TEMPLATE, "chat")
        text = tokenizer.decode([*item.context, *item.continuations[0]])
        assert text == tokens.render(prompt) + prompt.continuation(instruction.answer) + "</s>"
