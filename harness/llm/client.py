"""Answers to requests, in order: from the response store where it has them, else from a back end within a budget.

Knows no dialogue and no provider. Every answer is in the store before it is handed on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.errors import CallsStoppedError, ConfigError, HarnessError, ModelError
from harness.llm.answer import Answer, Arrival, Estimate
from harness.llm.backend import Backend
from harness.llm.budget import Budget, Usage
from harness.llm.cache.file import default_path
from harness.llm.cache.store import ResponseCache, request_key
from harness.llm.calls import CallSettings
from harness.llm.doubt import doubt_failures
from harness.llm.request import IMAGE_TOKENS, Request, Response, guess_tokens

if TYPE_CHECKING:
    from harness.llm.tables.prices import Price

CHUNK = 4096
"""Requests that are taken, looked up and asked together unless told otherwise; what memory holds at once."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with its key."""

    request: Request
    rendered: str
    key: str
    fields: dict[str, Any]


class Client:
    """Asks a back end what the response store does not have.

    Raises:
        ConfigError: a limit in dollars where no price is known.
    """

    def __init__(
        self,
        backend: Backend,
        calls: CallSettings,
        cache: ResponseCache | None = None,
        price: Price | None = None,
    ) -> None:
        """Nothing is called, opened or made yet.

        Args:
            backend: who answers.
            calls: pace and limits; clients that are given one budget share it.
            cache: the response store; None: the file that `calls` names, else the user's own.
            price: of the model; None: that of the price tables, if they have it.
        """
        from harness.llm.tables.prices import find_price

        self._backend = backend
        self._cache = cache or ResponseCache(calls.cache or default_path())
        self._identity = dict(backend.identity())
        self._model = str(self._identity.get("model", ""))
        self._price = price or find_price(self._model, calls, _text(self._identity.get("server")))
        self._budget = calls.budget or Budget()
        self._works = False
        if self._price is None and self._budget.max_cost is not None:
            raise ConfigError(
                f"--max-cost {self._budget.max_cost!r}: no price is known for model {self._model!r}; "
                "give --prices FILE or use --max-tokens-total"
            )

    def answer(self, requests: Iterable[Request], n_together: int = CHUNK) -> Generator[Answer]:
        """Yields one answer per request, in their order, each as soon as it and all before it are there.

        Equal requests are asked once. Close the iterator to stop early: what has arrived by then is stored.

        Args:
            requests: what to ask.
            n_together: requests that are taken, looked up and asked together: fewer where they are large.

        Raises:
            ConfigError: a request with images, and the back end takes none.
            CallsStoppedError: the budget does not allow the next request, or nobody answers any more.
            ModelError: the model cannot be loaded or called.
            StoreError: the response store cannot be read or written.
        """
        taken = iter(requests)
        while chunk := [self._look_at(request) for request in islice(taken, n_together)]:
            yield from self._answer_chunk(chunk)

    def estimate(self, requests: Iterable[Request]) -> Estimate:
        """Returns what requests would cost; calls nobody and writes nothing.

        Raises:
            StoreError: the response store cannot be read.
        """
        n_requests = n_new = n_prompt = n_completion = 0
        exact = True
        seen: set[str] = set()
        taken = iter(requests)
        while chunk := [self._look_at(request) for request in islice(taken, CHUNK)]:
            n_requests += len(chunk)
            seen |= self._cache.get_many({asked.key for asked in chunk}).keys()
            for asked in chunk:
                if asked.key not in seen:
                    seen.add(asked.key)
                    n_new += 1
                    n_counted, counted = self._count_tokens(asked)
                    n_prompt += n_counted
                    n_completion += _longest_answer(asked.request)
                    exact &= counted
        price = self._price
        return Estimate(
            n_requests, n_requests - n_new, n_prompt, n_completion, not exact,
            price.usd(n_prompt, n_new) if price else None, price.usd(n_prompt, n_completion) if price else None,
        )  # fmt: skip

    def name(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Returns the key of a request and the fields it is made of, as the store knows it."""
        return request_key(self._identity, request, self._backend.render(request.prompt))

    def close(self) -> None:
        """Lets go of the back end and of the store."""
        self._backend.close()
        self._cache.close()

    def _look_at(self, request: Request) -> _Asked:
        # A back end that was written before there were images does not say that it takes none.
        takes_images = request.prompt.form == "chat" and getattr(self._backend, "takes_images", False)
        if request.prompt.n_images and not takes_images:
            raise ConfigError(
                f"back end {self._identity.get('backend')!r}, form {request.prompt.form!r}: takes no images; ask a "
                "server that speaks the OpenAI protocol, with messages: backend=openai, form=chat"
            )
        rendered = self._backend.render(request.prompt)
        return _Asked(request, rendered, *request_key(self._identity, request, rendered))

    def _answer_chunk(self, chunk: Sequence[_Asked]) -> Iterator[Answer]:
        known = self._cache.get_many({asked.key for asked in chunk})
        missing = {asked.key: asked for asked in chunk if asked.key not in known}
        new = set(missing)
        with closing(self._ask(list(missing.values()))) as arrivals:
            for asked in chunk:
                while asked.key not in known:
                    arrival = next(arrivals)
                    known[arrival.key] = arrival
                stored = known[asked.key]
                yield Answer(
                    asked.request, asked.key, _sha256(asked.rendered), stored.response, asked.key not in new, stored.usd
                )
                new.discard(asked.key)

    def _ask(self, missing: Sequence[_Asked]) -> Generator[Arrival]:
        """Yields answers as they arrive, each stored before.

        What a request may use at most is more than what it uses: where the budget seems exhausted only by what is in
        flight, there is another round. It is exhausted when it does not allow a request with nothing in flight.
        """
        if missing:
            self._cache.prepare()
        n_answered = 0
        while n_answered < len(missing):
            n_before = n_answered
            with closing(self._ask_round(missing[n_before:])) as arrivals:
                for arrival in arrivals if self._works else doubt_failures(arrivals, self._model):
                    n_answered += 1
                    self._works = self._works or arrival.response.finish != "error"
                    yield arrival
            if n_answered == n_before:
                raise CallsStoppedError(
                    f"stopped at the limit: {self._budget.describe()}, and the next request may go beyond it; give a "
                    "larger limit and repeat the command: what was answered is stored and not asked again"
                )

    def _ask_round(self, missing: Sequence[_Asked]) -> Generator[Arrival]:
        in_flight: dict[int, tuple[_Asked, Usage]] = {}
        kept: dict[int, Arrival] = {}
        faults: list[HarnessError] = []

        def keep(number: int, response: Response) -> None:
            """Books and stores a response, in whatever thread it has come."""
            try:
                if number not in in_flight:
                    raise ModelError(f"the back end of {self._model!r} answered request {number!r} unasked or twice")
                asked, most = in_flight.pop(number)
                usd = self._settle(most, response)
                self._cache.put(asked.key, asked.fields, response, usd, self._model)
                kept[number] = Arrival(asked.key, response, usd)
            except HarnessError as fault:  # raised where answers are taken: back ends need not know how
                faults.append(fault)

        def feed() -> Iterator[Request]:
            """Yields requests while the budget allows them and answers can be stored."""
            for number, asked in enumerate(missing):
                most = self._most(asked)
                if faults or not self._budget.reserve(most):
                    return
                in_flight[number] = asked, most
                yield asked.request

        try:
            with closing(_each(self._backend.answer(feed(), keep))) as replies:
                for number, _ in replies:
                    if faults:
                        raise faults[0]
                    if number not in kept:
                        raise ModelError(f"the back end of {self._model!r} kept no answer to request {number!r}")
                    yield kept.pop(number)
            if faults:
                raise faults[0]
            if in_flight:
                raise ModelError(f"the back end of {self._model!r} left {len(in_flight)} requests without an answer")
        finally:
            for _, most in in_flight.values():  # whoever was asked may charge for it
                self._budget.settle(most, most)

    def _most(self, asked: _Asked) -> Usage:
        """Returns the most that a request may use, nothing where no limit asks for it."""
        if not self._budget.is_limited:
            return Usage(0, None)
        n_prompt, _ = self._count_tokens(asked)
        n_completion = _longest_answer(asked.request)
        return Usage(n_prompt + n_completion, self._price.usd(n_prompt, n_completion) if self._price else None)

    def _settle(self, most: Usage, response: Response) -> float | None:
        """Books what an answer has used, and returns its cost in US dollars, None where it is not known."""
        n_prompt, n_completion = response.n_prompt_tokens, response.n_completion_tokens
        if n_completion is None and response.choice_logprobs is not None:
            n_completion = 0  # nothing is written there
        usd = None
        if n_prompt is not None and n_completion is not None:
            if self._price is not None:
                usd = self._price.usd(n_prompt, n_completion, response.n_cached_tokens or 0)
            used = Usage(n_prompt + n_completion, usd)
        else:  # nobody charges for a failed call
            used = Usage(0, None) if response.finish == "error" else most
        self._budget.settle(most, used)
        return usd

    def _count_tokens(self, asked: _Asked) -> tuple[int, bool]:
        """Returns the number of tokens that are sent for a request, and whether they were counted rather than guessed.

        Likelihoods of choices take one prompt a choice where the back end says so, each with its choice.
        """
        request = asked.request
        texts = [asked.rendered]
        if request.with_premise:
            texts.append(self._backend.render(request.prompt.premise))
        counts = [self._backend.count_tokens(text) for text in texts]
        n = sum(guess_tokens(text) if count is None else count for count, text in zip(counts, texts, strict=True))
        n += IMAGE_TOKENS * request.prompt.n_images
        if request.mode == "choice" and self._backend.repeats_prompt:
            n = n * len(request.choices) + len(texts) * sum(map(guess_tokens, request.choices))
        return n, None not in counts


def _each(replies: Iterator[tuple[int, Response]]) -> Generator[tuple[int, Response]]:
    """Yields from an iterator, so that it can be closed whether it is a generator or not."""
    yield from replies


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _longest_answer(request: Request) -> int:
    return request.decoding.max_new_tokens if request.mode == "generate" else 1


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
