"""From instructions to what a model is trained on: tokens of prompts and answers. No answer is ever cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.llm.local.choice_tree import Candidates
from harness.llm.local.tokens import PromptTokens
from harness.prompting import Form, Template
from harness.prompting.instructions import Instruction


@dataclass(frozen=True, slots=True)
class Examples:
    """What is trained on, and what was done to make it fit."""

    items: tuple[Candidates, ...]
    """One an instruction, in order: the prompt, and the answer with the token that ends it as its only continuation."""
    n_shortened: int
    """Instructions that lost lines of their history."""
    n_lines_dropped: int
    n_too_long: int
    """Instructions that are longer than the limit even without history; kept as they are."""

    @property
    def n_tokens(self) -> int:
        """Tokens of all prompts and answers."""
        return sum(len(one.context) + len(one.continuations[0]) for one in self.items)


def encode_examples(
    instructions: Sequence[Instruction], template: Template, form: Form, tokens: PromptTokens, max_tokens: int
) -> Examples:
    """Returns the tokens of instructions; where they are too many, lines of history go, the farthest first."""
    items: list[Candidates | None] = [None] * len(instructions)
    dropped = [0] * len(instructions)
    n_too_long = 0
    todo = dict(enumerate(instructions))
    while todo:
        encoded = zip(list(todo), _encode(todo.values(), template, form, tokens), strict=True)
        for number, item in encoded:
            instruction = todo.pop(number)
            is_long = len(item.context) + len(item.continuations[0]) > max_tokens
            if is_long and instruction.scene.history:
                todo[number] = instruction.without_farthest_line()
                dropped[number] += 1
            else:
                items[number] = item
                n_too_long += is_long
    return Examples(
        tuple(item for item in items if item is not None),
        sum(n > 0 for n in dropped),
        sum(dropped),
        n_too_long,
    )


def encode_questions(
    instructions: Sequence[Instruction], template: Template, form: Form, tokens: PromptTokens
) -> list[Candidates]:
    """Returns the tokens of instructions with every label of their set as a continuation, as they will be asked."""
    prompts = [one.prompt(template, form) for one in instructions]
    choices = [
        [prompt.continuation(name) for name in one.names.shown]
        for one, prompt in zip(instructions, prompts, strict=True)
    ]
    return tokens.candidates([tokens.render(prompt) for prompt in prompts], choices)


def whole_texts(items: Iterable[Candidates]) -> list[Candidates]:
    """Returns examples in which everything but the first token is to be learned."""
    return [Candidates(one.context[:1], ((*one.context[1:], *one.continuations[0]),)) for one in items]


def _encode(
    instructions: Iterable[Instruction], template: Template, form: Form, tokens: PromptTokens
) -> list[Candidates]:
    """Returns the tokens of prompts and answers, each answer followed by the token that ends a text."""
    asked = list(instructions)
    prompts = [one.prompt(template, form) for one in asked]
    answers = [[prompt.continuation(one.answer)] for one, prompt in zip(asked, prompts, strict=True)]
    end = tokens.tokenizer.eos_token_id
    ends = () if end is None else (end,)
    return [
        Candidates(item.context, ((*item.continuations[0], *ends),))
        for item in tokens.candidates([tokens.render(prompt) for prompt in prompts], answers)
    ]
