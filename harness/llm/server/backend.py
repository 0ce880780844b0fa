"""The back end for servers that speak the OpenAI protocol: OpenAI, vLLM, SGLang, Ollama, llama.cpp, transformers serve.

Owns the order of things: what is in flight, what gets a second chance, when nobody answers. How a call is made and
what its failure means is in `calls`, `dialect` and `faults`; when it may be made in `pace`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from harness.errors import ConfigError
from harness.llm.backend import Keep, ModelSettings, register_backend
from harness.llm.calls import CallSettings
from harness.llm.request import Request, Response
from harness.llm.server.address import Server, known_secrets, parse_server
from harness.llm.server.calls import Caller, Item, nobody_answers
from harness.llm.server.dialect import Dialect, chat_messages, hash_url
from harness.llm.server.pace import Pace
from harness.llm.server.session import Session
from harness.prompting import Form, Prompt

_OF_WEIGHTS = ("revision", "adapter", "dtype", "quantization", "model_args")
"""Model settings that a server decides for itself."""


@register_backend("openai")
@dataclass
class OpenAIBackend:
    """A model behind a server. The key comes from the environment: OPENAI_API_KEY for OpenAI, else ERC_API_KEY.

    Raises:
        ConfigError: a setting that a server decides for itself, an address that carries more than an address, or no
            request in flight.
    """

    repeats_prompt = True
    takes_images = True

    model: ModelSettings
    calls: CallSettings
    _base_delay: float = 1.0
    """Seconds; the longest wait before a second attempt, and a fifth of the first wait for a batch."""
    _server: Server = field(init=False, repr=False)
    _dialect: Dialect = field(init=False, repr=False)
    _pace: Pace = field(init=False, repr=False)

    def __post_init__(self) -> None:
        defaults = ModelSettings(self.model.backend, self.model.model)
        for name in _OF_WEIGHTS:
            if (value := getattr(self.model, name)) != getattr(defaults, name):
                raise ConfigError(f"{name}={value!r} with back end 'openai': the server decides it; leave it away")
        if self.calls.concurrency < 1:
            raise ConfigError(f"concurrency={self.calls.concurrency!r}: at least 1 request must be in flight")
        self._server = parse_server(self.model.base_url)
        self._dialect = Dialect(self.model.model)
        self._pace = Pace(self.calls.concurrency, self.calls.requests_per_minute, self.calls.tokens_per_minute)

    def identity(self) -> Mapping[str, object]:
        """Returns back end, model, server as it may be published, and its address, which stays in the cache."""
        server = self._server
        return {"backend": "openai", "model": self.model.model, "server": server.name, "address": server.address}

    def preferred_form(self) -> Form:
        """Returns "chat": a server is taken to be a chat service."""
        return "chat"

    def render(self, prompt: Prompt) -> str:
        """Returns the messages as JSON, or the plain text, as sent; images by their hash."""
        if prompt.form == "plain":
            return prompt.text
        return json.dumps(chat_messages(prompt, hash_url), ensure_ascii=False)

    def count_tokens(self, text: str) -> int | None:
        """Returns None: only the server has the tokenizer."""
        return None

    def close(self) -> None:
        """Does nothing: connections and thread live as long as one `answer`."""

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        """Yields (number, response) as answers arrive, each kept before; `calls.concurrency` requests are in flight.

        A request whose retries are exhausted is set aside. When all others are answered it gets one more round, and
        fails alone if that is in vain too. When the requests themselves raise, those before are answered first; when
        a call shows that no other can succeed, calls in flight are, and no other is made.

        Raises:
            ConfigError: a request for what no server does: beam search.
            ModelError: wrong key, unknown model, or something asked for that this server cannot do.
            CallsStoppedError: nobody answers, the account is exhausted, or the server wants a long pause.
        """
        if self.calls.batch_api:
            from harness.llm.server.batch import answer_by_batch

            first_poll = 5.0 * self._base_delay
            yield from answer_by_batch(requests, keep, self._server, self._dialect, self.calls, first_poll)
            return
        client = self._server.async_client(self.calls.timeout_seconds)
        self._pace.begin()
        place = self._server.place
        caller = Caller(client, self.calls, self._dialect, self._pace, place, self._base_delay, known_secrets())

        async def serve(item: Item) -> Item:
            served = await caller.serve(item)
            if served.response is not None:
                keep(served.number, served.response)  # here and not in the caller's thread, which may never take it
            return served

        with Session(serve, self._pace.settle, client.close) as session:
            given_up: list[Item] = []
            n_answered = 0
            for item in self._converse(session, (Item(number, request) for number, request in enumerate(requests))):
                if item.response is None:
                    given_up.append(replace(item, is_last_round=True))
                else:
                    n_answered += 1
                    yield item.number, item.response
            if given_up and not n_answered:
                raise nobody_answers(place, given_up[-1])
            for item in self._converse(session, iter(given_up)):
                if item.response is not None:  # there always is one in the last round
                    yield item.number, item.response

    def _converse(self, session: Session[Item, Item], source: Iterator[Item]) -> Iterator[Item]:
        """Yields items as they come back, answered or given up, and sends new ones as there is room.

        Room is in flight, and among what waits to be yielded: a slow caller holds the sending back. Whatever fails is
        raised last: the source, after all that it gave; a call, after those in flight with it.
        """
        n_max = self.calls.concurrency
        failure: Exception | None = None
        while True:
            try:
                while failure is None and session.n_running < n_max and session.n_unreceived < 2 * n_max:
                    if (item := next(source, None)) is None:
                        break
                    session.send(item)
            except Exception as error:  # whatever the source raises is raised once its requests are answered
                failure = error
            if not session.n_unreceived:
                break
            try:
                received = session.receive()
            except Exception as error:  # whatever ended a call is raised once those in flight have come
                failure = failure or error
                continue
            if received is None:
                break
            yield received
        if failure is not None:
            raise failure
