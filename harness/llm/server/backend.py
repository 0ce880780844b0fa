"""The back end for servers that speak the OpenAI protocol: OpenAI, vLLM, SGLang, Ollama, llama.cpp, transformers serve.

Owns the order of things: what is in flight, what gets a second chance, when nobody answers. How a call is made and
what its failure means is in `calls`, `dialect` and `faults`; when it may be made in `pace`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.errors import CallsStoppedError, ConfigError
from harness.llm.backend import ModelSettings, register_backend
from harness.llm.calls import CallSettings
from harness.llm.request import Request, Response
from harness.llm.server.address import Server, known_secrets, parse_server
from harness.llm.server.calls import Caller, Item
from harness.llm.server.dialect import Dialect, chat_messages
from harness.llm.server.pace import Pace
from harness.llm.server.session import Session
from harness.prompting import Form, Prompt

_N_IN_A_ROW = 8
"""Requests given up with no answer between, after which nobody is taken to answer any more."""

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
        """Returns back end, model and server; servers on this machine or in a private network are all 'local'."""
        return {"backend": "openai", "model": self.model.model, "server": self._server.name}

    def preferred_form(self) -> Form:
        """Returns "chat": a server is taken to be a chat service."""
        return "chat"

    def render(self, prompt: Prompt) -> str:
        """Returns the messages as JSON, or the plain text, as sent."""
        return json.dumps(chat_messages(prompt), ensure_ascii=False) if prompt.form == "chat" else prompt.text

    def count_tokens(self, text: str) -> int | None:
        """Returns None: only the server has the tokenizer."""
        return None

    def close(self) -> None:
        """Does nothing: connections and thread live as long as one `answer`."""

    def answer(self, requests: Iterator[Request]) -> Iterator[tuple[int, Response]]:
        """Yields (number, response) as answers arrive; at most `calls.concurrency` requests are in flight.

        A request whose retries are exhausted is set aside. When all others are answered it gets one more round, and
        fails alone if that is in vain too. When the requests themselves raise, what is in flight is waited for first.

        Raises:
            ConfigError: a request for what no server does: beam search.
            ModelError: wrong key, unknown model, or something asked for that this server cannot do.
            CallsStoppedError: nobody answers, the account is exhausted, or the server wants a long pause.
        """
        if self.calls.batch_api:
            from harness.llm.server.batch import answer_by_batch

            yield from answer_by_batch(requests, self._server, self._dialect, self.calls, 5.0 * self._base_delay)
            return
        client = self._server.async_client(self.calls.timeout_seconds)
        self._pace.begin()
        caller = Caller(
            client, self.calls, self._dialect, self._pace, self._server.place, self._base_delay, known_secrets()
        )
        with Session(caller.serve, client.close) as session:
            given_up: list[Item] = []
            n_answered = n_in_a_row = 0
            source = (Item(number, request) for number, request in enumerate(requests))
            for item in self._converse(session, source):
                if item.response is not None:
                    n_answered, n_in_a_row = n_answered + 1, 0
                    yield item.number, item.response
                else:
                    given_up.append(item)
                    n_in_a_row += 1
                    if n_in_a_row == _N_IN_A_ROW:
                        raise self._nobody(item)
            if given_up and not n_answered:
                raise self._nobody(given_up[-1])
            for item in self._converse(session, iter(given_up)):
                error = item.fault.error if item.fault is not None else ""
                yield item.number, item.response or Response("error", error=error, n_attempts=item.n_attempts)

    def _converse(self, session: Session[Item, Item], source: Iterator[Item]) -> Iterator[Item]:
        """Yields items as they come back, answered or given up, and sends new ones as there is room.

        Room is in flight, and among what waits to be yielded: a slow caller holds the sending back. Whatever fails,
        the source or a call that shows that no other can succeed, is raised when what is in flight has come back.
        """
        n_max = self.calls.concurrency
        failure: Exception | None = None
        while True:
            try:
                while failure is None and session.n_running < n_max and session.n_unreceived < 2 * n_max:
                    if (item := next(source, None)) is None:
                        break
                    session.send(item)
                if not session.n_unreceived:
                    break
                item = session.receive()
            except Exception as error:
                failure = failure or error
            else:
                yield item
        if failure is not None:
            raise failure

    def _nobody(self, item: Item) -> CallsStoppedError:
        said = item.fault.error if item.fault is not None else ""
        return CallsStoppedError(
            f"nobody answers at {self._server.place}: {said}, {item.n_attempts} times; repeat the command to go on"
        )
