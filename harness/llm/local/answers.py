"""From requests to what a local model computes, and back to responses. Knows the tokens of prompts, loads nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.llm.local.choice_tree import Candidates
from harness.llm.local.scoring import ChoiceScorer
from harness.llm.local.tokens import PromptTokens
from harness.llm.local.writing import Job, TextWriter, Written
from harness.llm.request import Request, Response
from harness.prompting import Prompt

NO_MEMORY = "out of memory, even alone; take a smaller model, -P dtype=bf16 or a shorter window"

Premise = tuple[Prompt, tuple[str, ...]]
"""A premise and the choices that may follow it."""

Batch = list[tuple[int, Response]]
"""(number of the request, response) of requests that were answered together."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """A request on its way."""

    number: int
    """Among the requests that were taken."""
    request: Request
    text: str
    """What the model reads."""


class LocalAnswers:
    """Answers of one loaded model."""

    def __init__(self, model: Any, tokens: PromptTokens, batch_size: int) -> None:
        self._tokens = tokens
        self._limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        ends = _end_tokens(model, tokens.tokenizer)
        pad = next((token for token in (tokens.tokenizer.pad_token_id, *ends) if token is not None), 0)
        self._scorer = ChoiceScorer(model, batch_size)
        self._writer = TextWriter(model, ends, pad, batch_size)
        self._premises: dict[Premise, tuple[float, ...] | None] = {}

    def score(self, questions: Sequence[Question]) -> Iterator[Batch]:
        """Yields responses with the log-likelihood of each choice, batch by batch."""
        items = self._tokens.candidates(
            [question.text for question in questions],
            [_continuations(question.request.prompt, question.request.choices) for question in questions],
        )
        able, unable = [], []
        for question, item in zip(questions, items, strict=True):
            if problem := self._problem_of_choices(item):
                unable.append((question.number, Response("error", error=problem)))
            else:
                able.append((question, item))
        yield unable
        self._score_premises([question.request for question, _ in able if question.request.with_premise])
        for part, seconds in _timed(self._scorer.score([item for _, item in able])):
            asked = [(*able[place], logprobs) for place, logprobs in part.items()]
            yield [
                (question.number, self._choice_response(question.request, item, logprobs, seconds / len(part)))
                for question, item, logprobs in asked
            ]

    def write(self, questions: Sequence[Question]) -> Iterator[Batch]:
        """Yields responses with the text that the model wrote, batch by batch."""
        prompts = self._tokens.encode([question.text for question in questions])
        able, unable = [], []
        for question, tokens in zip(questions, prompts, strict=True):
            job = self._job_of(question, tokens)
            if problem := self._problem_of_text(job):
                unable.append((question.number, Response("error", error=problem)))
            else:
                able.append((question, job))
        yield unable
        for part, seconds in _timed(self._writer.write([job for _, job in able])):
            asked = [(*able[place], written) for place, written in part.items()]
            yield [
                (question.number, self._text_response(written, len(job.tokens), seconds / len(part)))
                for question, job, written in asked
            ]

    def _choice_response(
        self, request: Request, item: Candidates, logprobs: tuple[float, ...] | None, seconds: float
    ) -> Response:
        premise = self._premises[_premise_of(request)] if request.with_premise else None
        if logprobs is None or (request.with_premise and premise is None):
            return Response("error", error=NO_MEMORY)
        return Response(
            "stop",
            choice_logprobs=logprobs,
            choice_tokens=tuple(map(len, item.continuations)),
            premise_logprobs=premise,
            n_prompt_tokens=len(item.context),
            n_completion_tokens=0,
            seconds=seconds,
        )

    def _score_premises(self, requests: Sequence[Request]) -> None:
        """Scores choices given premises, each premise once in the life of this object."""
        new = [key for key in dict.fromkeys(map(_premise_of, requests)) if key not in self._premises]
        items = self._tokens.candidates(
            [self._tokens.render(premise) for premise, _ in new],
            [_continuations(premise, choices) for premise, choices in new],
        )
        for part in self._scorer.score(items):
            self._premises.update({new[place]: logprobs for place, logprobs in part.items()})

    def _job_of(self, question: Question, tokens: list[int]) -> Job:
        request = question.request
        allowed = _continuations(request.prompt, request.choices) if request.constrained else ()
        written = (tuple(self._tokens.written(question.text, tokens, text)) for text in allowed)
        return Job(tuple(tokens), request.decoding, tuple(written))

    def _text_response(self, written: Written | None, n_prompt_tokens: int, seconds: float) -> Response:
        if written is None:
            return Response("error", error=NO_MEMORY)
        return Response(
            "stop" if written.ended else "length",
            text=str(self._tokens.tokenizer.decode(list(written.tokens), skip_special_tokens=True)),
            n_prompt_tokens=n_prompt_tokens,
            n_completion_tokens=len(written.tokens),
            seconds=seconds,
        )

    def _problem_of_choices(self, item: Candidates) -> str | None:
        """Returns why a prompt cannot be scored, None if it can."""
        if not item.context or not all(item.continuations):
            return "prompt or choice adds no token; give both a text"
        return self._too_long(item.depth, "with its longest choice")

    def _problem_of_text(self, job: Job) -> str | None:
        """Returns why a text cannot be written, None if it can."""
        decoding = job.decoding
        if decoding.n_beams > 1 and decoding.temperature > 0:
            return f"n_beams {decoding.n_beams!r} with temperature {decoding.temperature!r}: expected one of them"
        if not job.tokens:
            return "prompt adds no token; give it a text"
        return self._too_long(len(job.tokens) + decoding.max_new_tokens, f"with {decoding.max_new_tokens} to write")

    def _too_long(self, n_tokens: int, what: str) -> str | None:
        if self._limit is None or n_tokens <= self._limit:
            return None
        return f"prompt too long: {n_tokens} tokens {what}, the model takes {self._limit}; show a shorter window"


def _continuations(prompt: Prompt, choices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(prompt.continuation, choices))


def _premise_of(request: Request) -> Premise:
    return request.prompt.premise, request.choices


def _timed(parts: Iterator[T]) -> Iterator[tuple[T, float]]:
    """Yields each part with the seconds it took to come."""
    begin = time.perf_counter()
    for part in parts:
        yield part, time.perf_counter() - begin
        begin = time.perf_counter()


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Returns every token that ends a text, as the checkpoint's generation settings and its tokenizer say."""
    own = model.generation_config.eos_token_id
    ends = own if isinstance(own, list) else [own]
    return sorted({end for end in [*ends, tokenizer.eos_token_id] if end is not None})
