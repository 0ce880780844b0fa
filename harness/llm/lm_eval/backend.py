"""The back end of lm-eval: any model registered there answers requests. Owns arguments, identity and likelihoods.

Calls into lm_eval are in `harness.llm.lm_eval.session`. Its response cache is not used: the key leaves out the model.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice, product
from typing import Any, NamedTuple, get_args

from harness.errors import ConfigError, MissingDependencyError
from harness.llm.backend import ModelSettings, register_backend
from harness.llm.calls import CallSettings
from harness.llm.lm_eval.loading import check_name, load_model, public_arguments, read_arguments, refuse_settings
from harness.llm.lm_eval.session import Answered, Failed, LmEvalSession
from harness.llm.request import Decoding, Request, Response
from harness.prompting import Form, Prompt

GROUP = 512
"""Requests taken and handed to lm-eval together, which sorts them by length and builds batches."""

END = "<|endoftext|>"
"""What a text ends at beside the model's own end: some servers want a stop string, and nothing of an answer is lost.

Source: lm-eval's default for chat servers. Its usual choice, an empty line, could cut an answer unseen.
"""

Question = tuple[Any, Any]
"""(what the model reads, continuation), or (what the model reads, settings of the generation)."""


class _Scored(NamedTuple):
    """The choices after one prompt, as lm-eval scores them: white space that ends a prompt counts to each choice."""

    questions: tuple[Question, ...]
    """(what the model reads, continuation) for each choice."""
    n_prompt_tokens: int | None
    n_tokens: tuple[int, ...] | None
    """Of each continuation; None: no tokenizer to ask."""


@register_backend("lm-eval")
class LmEvalBackend:
    """A model of lm-eval.

    Sampling is repeatable where the model runs in this process, or where its server honours a seed.
    """

    def __init__(self, model: ModelSettings, calls: CallSettings) -> None:
        """Checks the settings; loads nothing.

        Args:
            model: `model` is the name of an lm-eval model, `model_args` its arguments. Revision, adapter, precision and
                address belong in the arguments, under lm-eval's names for them.
            calls: pace and limits; what `model_args` says goes before them.

        Raises:
            ConfigError: an unknown model, a setting that belongs in the arguments, a key among them, or a limit that
                lm-eval cannot keep.
            MissingDependencyError: lm-eval is not installed.
        """
        if importlib.util.find_spec("lm_eval") is None:
            raise MissingDependencyError.of("lm_eval", "lm-eval", "back end 'lm-eval'")
        refuse_settings(model, calls)
        check_name(model.model)
        self._model, self._calls = model, calls
        self._arguments = read_arguments(model.model_args)
        self._session: LmEvalSession | None = None
        self._premises: dict[Question, float] = {}
        """Log-likelihoods given premises, which many prompts share."""

    def identity(self) -> Mapping[str, object]:
        """Returns name and arguments of the model, folders by their content, and the version of lm-eval."""
        return {
            "backend": "lm-eval",
            "model": self._model.model,
            "model_args": public_arguments(self._model.model_args),
            "lm_eval": version("lm_eval"),
        }

    def render(self, prompt: Prompt) -> str:
        """Returns the text that the model reads; for a chat server, its messages as JSON.

        Raises:
            ModelError: the model cannot be made, or has no chat template, or one that drops a message.
        """
        context = self._context(prompt)
        return context if isinstance(context, str) else str(getattr(context, "prompt", None) or json.dumps(context))

    def preferred_form(self) -> Form:
        """Returns "chat" for a chat server and for a model with a chat template."""
        return "chat" if self._open.takes_messages else "plain"

    def count_tokens(self, text: str) -> int | None:
        """Returns the number of tokens, None for a model without a tokenizer of its own."""
        return self._open.count_tokens(text)

    def answer(self, requests: Iterator[Request]) -> Iterator[tuple[int, Response]]:
        """Yields answers group by group, as `Backend.answer` says.

        Raises:
            ModelError: as `render`; or the model gives no log-likelihoods, no texts, or refuses every call.
            CallsStoppedError: its server cannot be reached, or too many questions failed in a row.
            ConfigError: a request for beams.
        """
        numbered = enumerate(requests)
        while group := list(islice(numbered, GROUP)):
            # lm-eval looks at the first text of a batch to tell whether all begin with a start token: forms do not mix
            for (mode, ask), form in product((("choice", self._choose), ("generate", self._write)), get_args(Form)):
                if asked := [(n, r) for n, r in group if (r.mode, r.prompt.form) == (mode, form)]:
                    self._open.check_form(form)
                    yield from ask(asked)
                    if self._open.stopped is not None:
                        raise self._open.stopped

    def close(self) -> None:
        """Lets go of the model."""
        self._session = None

    @property
    def _open(self) -> LmEvalSession:
        if self._session is None:
            lm = load_model(self._model, self._arguments, self._calls)
            n_threads = int(self._arguments.get("num_concurrent", self._calls.concurrency))
            self._session = LmEvalSession(self._model.model, lm, n_threads)
        return self._session

    def _context(self, prompt: Prompt) -> Any:
        if prompt.form == "plain":
            return prompt.text
        return self._open.apply_chat_template([{"role": m.role, "content": m.content} for m in prompt.messages])

    def _score(self, prompt: Prompt, choices: Sequence[str]) -> _Scored:
        context = self._context(prompt)
        questions = tuple((context, prompt.continuation(choice)) for choice in choices)
        tokens = [self._open.split_tokens(*question) for question in questions]
        n_tokens = tuple(len(split[1]) for split in tokens if split is not None)
        return _Scored(questions, self.count_tokens(context), n_tokens if len(n_tokens) == len(tokens) else None)

    def _choose(self, asked: Sequence[tuple[int, Request]]) -> Iterator[tuple[int, Response]]:
        plans: list[tuple[int, _Scored, _Scored | None]] = []
        for number, request in asked:
            given = self._score(request.prompt, request.choices)
            premise = self._score(request.prompt.premise, request.choices) if request.with_premise else None
            if problem := self._open.too_long(given.n_prompt_tokens, max(given.n_tokens or [0])):
                yield number, Response("error", error=problem)
            else:
                plans.append((number, given, premise))
        premises = {question for _, _, premise in plans if premise for question in premise.questions}
        wanted = dict.fromkeys(question for _, given, _ in plans for question in given.questions)
        wanted |= dict.fromkeys(premises - self._premises.keys())
        results = dict(zip(wanted, self._open.ask("loglikelihood", list(wanted)), strict=True))
        answered = {question: result for question, result in results.items() if isinstance(result, Answered)}
        found = self._premises | {question: float(result.value[0]) for question, result in answered.items()}
        self._premises |= {question: found[question] for question in premises & found.keys()}
        for number, given, premise in plans:
            own = [*given.questions, *(premise.questions if premise else ())]
            failed = [result for question in own if isinstance(result := results.get(question), Failed)]
            if failed:
                yield number, Response("error", error=failed[0].cause)
            elif found.keys() >= set(own):
                yield (
                    number,
                    Response(
                        "stop",
                        choice_logprobs=tuple(found[question] for question in given.questions),
                        choice_tokens=given.n_tokens,
                        premise_logprobs=tuple(found[question] for question in premise.questions) if premise else None,
                        n_prompt_tokens=given.n_prompt_tokens,
                        n_completion_tokens=None if given.n_tokens is None else 0,
                        seconds=sum(answered[question].seconds for question in own if question in answered),
                    ),
                )

    def _write(self, asked: Sequence[tuple[int, Request]]) -> Iterator[tuple[int, Response]]:
        together: list[tuple[int, Request, Any]] = []
        for number, request in asked:
            context = self._context(request.prompt)
            if problem := self._open.too_long(self.count_tokens(context), request.decoding.max_new_tokens):
                yield number, Response("error", error=problem)
            elif request.decoding.temperature > 0 and self._open.draws_here:
                yield from self._generate([(number, request, context)], request.decoding.seed)
            else:
                together.append((number, request, context))
        yield from self._generate(together, None)

    def _generate(self, asked: Sequence[tuple[int, Request, Any]], seed: int | None) -> Iterator[tuple[int, Response]]:
        """Yields the texts of requests that may share batches; draws in this process are made one by one, by seed."""
        questions = [(context, self._settings(request.decoding)) for _, request, context in asked]
        for (number, request, context), result in zip(
            asked, self._open.ask("generate_until", questions, seed), strict=True
        ):
            if isinstance(result, Failed):
                yield number, Response("error", error=result.cause)
            elif result is not None:
                n_tokens = result.n_tokens if result.n_tokens is not None else self.count_tokens(result.value)
                full = n_tokens is not None and n_tokens >= request.decoding.max_new_tokens
                yield (
                    number,
                    Response(
                        "length" if full and not result.ended else "stop",
                        result.value,
                        n_prompt_tokens=self.count_tokens(context),
                        n_completion_tokens=n_tokens,
                        seconds=result.seconds,
                    ),
                )

    def _settings(self, decoding: Decoding) -> dict[str, object]:
        """Returns the settings of a generation under lm-eval's names."""
        if decoding.n_beams > 1:
            raise ConfigError(
                f"n_beams={decoding.n_beams!r}: not every lm-eval model searches with beams; "
                "use 1, or backend=transformers"
            )
        settings: dict[str, object] = {
            "until": [END],
            "max_gen_toks": decoding.max_new_tokens,
            "do_sample": decoding.temperature > 0,
            "temperature": decoding.temperature,
        }
        if decoding.seed is not None and self._open.takes_seed:
            settings["seed"] = decoding.seed
        return settings
