"""The back end of lm-eval: any model registered there answers requests. Owns arguments, identity and likelihoods.

Calls into lm_eval are in `harness.llm.lm_eval.session`. Its response cache is not used: the key leaves out the model.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from itertools import islice, product
from typing import Any, get_args

from harness.errors import ConfigError, MissingDependencyError
from harness.llm.backend import Keep, ModelSettings, register_backend
from harness.llm.calls import CallSettings
from harness.llm.lm_eval.choosing import Plan, Scored, score_choices
from harness.llm.lm_eval.loading import (
    check_name,
    find_commits,
    is_local,
    load_model,
    public_arguments,
    read_arguments,
    refuse_settings,
)
from harness.llm.lm_eval.session import Answered, Failed, LmEvalSession, Question
from harness.llm.request import Decoding, Request, Response
from harness.prompting import Form, Prompt

METHOD = 1
"""How questions are put and read; raise it when a change can change an answer."""

GROUP = 512
"""Requests taken and handed to lm-eval together, which sorts them by length and builds batches."""

END = "<|endoftext|>"
"""What a text ends at beside the model's own end: some servers want a stop string, and nothing of an answer is lost.

Source: lm-eval's default for chat servers. Its usual choice, an empty line, could cut an answer unseen.
"""


@register_backend("lm-eval")
class LmEvalBackend:
    """A model of lm-eval.

    Sampling is repeatable where the model runs in this process, or where its server honours a seed.
    """

    repeats_prompt = True
    takes_images = False

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
        self._premises: dict[Question, Answered] = {}
        """Answers about premises, which many prompts share."""

    def identity(self) -> Mapping[str, object]:
        """Returns name and arguments of the model, folders by their content, our method, lm-eval's version.

        For a model of transformers in this process also device, libraries, and commits of what lies at the hub; for a
        server its whole address.
        """
        identity = {
            "backend": "lm-eval",
            "model": self._model.model,
            "model_args": public_arguments(self._model.model_args),
            "address": self._arguments.get("base_url"),
            "method": METHOD,
            "lm_eval": version("lm_eval"),
        }
        if not is_local(self._model.model):
            return identity
        return identity | {
            "commits": self._commits,
            "device": self._arguments.get("device", self._model.device),
            "transformers": version("transformers"),
            "torch": version("torch"),
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
        return "chat" if self._open.texts.takes_messages else "plain"

    def count_tokens(self, text: str) -> int | None:
        """Returns the number of tokens, None for a model without a tokenizer of its own."""
        return self._open.texts.count_tokens(text)

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        """Yields answers group by group, as `Backend.answer` says; each is kept when the model has made it.

        Raises:
            ModelError: as `render`; or the model gives no log-likelihoods, no texts, or refuses every call.
            CallsStoppedError: its server cannot be reached, or too many questions failed in a row.
            ConfigError: a request for beams.
        """
        arrived: list[tuple[int, Response]] = []

        def settle(number: int, response: Response) -> None:
            keep(number, response)
            arrived.append((number, response))

        numbered = enumerate(requests)
        while group := list(islice(numbered, GROUP)):
            # lm-eval looks at the first text of a batch to tell whether all begin with a start token: forms do not mix
            for (mode, ask), form in product((("choice", self._choose), ("generate", self._write)), get_args(Form)):
                if asked := [(n, r) for n, r in group if (r.mode, r.prompt.form) == (mode, form)]:
                    self._open.texts.check_form(form)
                    ask(asked, settle)
                    yield from arrived
                    arrived.clear()
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

    @cached_property
    def _commits(self) -> Mapping[str, str]:
        return find_commits(self._arguments, self._calls.download)

    def _context(self, prompt: Prompt) -> Any:
        if prompt.form == "plain":
            return prompt.text
        return self._open.texts.apply_chat_template(prompt.messages)

    def _score(self, prompt: Prompt, choices: Sequence[str]) -> Scored:
        return score_choices(self._open.texts, self._context(prompt), tuple(map(prompt.continuation, choices)))

    def _choose(self, asked: Sequence[tuple[int, Request]], settle: Keep) -> None:
        """Settles requests for choices, each when its last question is answered or its first has failed."""
        plans: dict[int, Plan] = {}
        waiting: dict[Question, list[int]] = {}
        answered = dict(self._premises)
        for number, request in asked:
            given = self._score(request.prompt, request.choices)
            premise = self._score(request.prompt.premise, request.choices) if request.with_premise else None
            if problem := self._open.texts.too_long(given.n_prompt_tokens, max(given.n_tokens or [0])):
                settle(number, Response("error", error=problem))
                continue
            old = premise is None or premise.questions[0] in waiting or premise.questions[0] in answered
            plans[number] = plan = Plan(given, premise, (given,) if premise is None or old else (given, premise))
            for question in dict.fromkeys(plan.questions):
                if question not in answered:
                    waiting.setdefault(question, []).append(number)

        def settle_ready(numbers: Sequence[int]) -> None:
            for number in numbers:
                if number in plans and answered.keys() >= set(plans[number].questions):
                    settle(number, plans.pop(number).respond(answered, self._open.is_server))

        def arrive(place: int, result: Answered | Failed) -> None:
            if isinstance(result, Answered):
                answered[wanted[place]] = result
                settle_ready(waiting[wanted[place]])
                return
            for number in waiting[wanted[place]]:
                if plans.pop(number, None):
                    settle(number, Response("error", error=result.cause))

        premises = {question for plan in plans.values() if plan.premise for question in plan.premise.questions}
        settle_ready(list(plans))
        wanted = list(waiting)
        self._open.ask("loglikelihood", wanted, arrive)
        self._premises |= {question: answered[question] for question in premises & answered.keys()}

    def _write(self, asked: Sequence[tuple[int, Request]], settle: Keep) -> None:
        together: list[tuple[int, Request, Any]] = []
        for number, request in asked:
            context = self._context(request.prompt)
            if problem := self._open.texts.too_long(self.count_tokens(context), request.decoding.max_new_tokens):
                settle(number, Response("error", error=problem))
            elif request.decoding.temperature > 0 and self._open.draws_here:
                self._generate([(number, request, context)], settle, request.decoding.seed)
            else:
                together.append((number, request, context))
        self._generate(together, settle)

    def _generate(self, asked: Sequence[tuple[int, Request, Any]], settle: Keep, seed: int | None = None) -> None:
        """Settles requests that may share batches; draws in this process are made one by one, by seed."""

        def arrive(place: int, result: Answered | Failed) -> None:
            number, request, context = asked[place]
            settle(number, self._text_response(request, context, result))

        questions = [(context, self._settings(request.decoding)) for _, request, context in asked]
        self._open.ask("generate_until", questions, arrive, seed)

    def _text_response(self, request: Request, context: Any, result: Answered | Failed) -> Response:
        if isinstance(result, Failed):
            return Response("error", error=result.cause)
        n_tokens = result.n_tokens if result.n_tokens is not None else self.count_tokens(result.value)
        full = n_tokens is not None and n_tokens >= request.decoding.max_new_tokens
        return Response(
            "length" if full and not result.ended else "stop",
            result.value,
            n_prompt_tokens=self.count_tokens(context),
            n_completion_tokens=n_tokens,
            seconds=result.seconds,
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
        if decoding.seed is not None and self._open.is_server:
            settings["seed"] = decoding.seed
        return settings
