"""What a request for likelihoods of choices takes of a model of lm-eval: one question a choice, and their answers.

Serves `harness.llm.lm_eval.backend` only. Asks no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from harness.llm.lm_eval.session import Answered, Question
from harness.llm.lm_eval.texts import LmEvalTexts
from harness.llm.request import Response


class Scored(NamedTuple):
    """The choices after one prompt, as lm-eval scores them: white space that ends a prompt counts to each choice."""

    questions: tuple[Question, ...]
    """(what the model reads, continuation) for each choice."""
    n_prompt_tokens: int | None
    n_tokens: tuple[int, ...] | None
    """Of each continuation; None: no tokenizer to ask."""
    n_sent: int | None
    """Tokens of all questions, each with its prompt."""


class Plan(NamedTuple):
    """What a request for choices takes."""

    given: Scored
    premise: Scored | None
    paid: tuple[Scored, ...]
    """Without a premise that an earlier request has asked about."""

    @property
    def questions(self) -> tuple[Question, ...]:
        return self.given.questions + (self.premise.questions if self.premise else ())

    def respond(self, answered: Mapping[Question, Answered], is_server: bool) -> Response:
        """Returns the response; a server reads the prompt again for each choice, and is paid for it."""

        def logprobs(scored: Scored) -> tuple[float, ...]:
            return tuple(float(answered[question].value[0]) for question in scored.questions)

        n_prompt_tokens = self.given.n_prompt_tokens
        if is_server:
            n_sent = [scored.n_sent for scored in self.paid if scored.n_sent is not None]
            n_prompt_tokens = sum(n_sent) if len(n_sent) == len(self.paid) else None
        return Response(
            "stop",
            choice_logprobs=logprobs(self.given),
            choice_tokens=self.given.n_tokens,
            premise_logprobs=logprobs(self.premise) if self.premise else None,
            n_prompt_tokens=n_prompt_tokens,
            n_completion_tokens=None if self.given.n_tokens is None else 0,
            seconds=sum(answered[question].seconds for scored in self.paid for question in scored.questions),
        )


def score_choices(texts: LmEvalTexts, context: Any, continuations: Sequence[str]) -> Scored:
    """Returns the questions for some continuations of what the model reads, with their tokens where they are known."""
    questions = tuple((context, continuation) for continuation in continuations)
    n_prompt_tokens = texts.count_tokens(context)
    split = [texts.split_tokens(*question) for question in questions]
    told = [parts for parts in split if parts is not None]
    if len(told) < len(split):
        return Scored(questions, n_prompt_tokens, None, None)
    n_tokens = tuple(len(continuation) for _, continuation in told)
    return Scored(questions, n_prompt_tokens, n_tokens, sum(len(before) + len(after) for before, after in told))
