"""A loopback server that speaks the OpenAI protocol as a test tells it to, and requests to ask it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from harness.llm import CallSettings, Decoding, ModelSettings, Request, Response
from harness.llm.server.backend import OpenAIBackend
from harness.prompting import Message, Prompt


@dataclass(frozen=True)
class Call:
    """One call that reached the server."""

    path: str
    body: dict[str, Any]
    prompt: str
    """Last message, or the plain text."""
    count: int
    """How often this prompt was asked, this time included."""
    began: float
    """time.monotonic()."""
    headers: dict[str, str]
    http: web.Request


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass
class Loopback:
    """The server and what it saw."""

    handler: Handler
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    successes: Counter[str] = field(default_factory=Counter)
    """Answers with status 200 that left the server whole, by prompt."""
    n_now: int = 0
    n_most: int = 0
    """Calls in flight at most."""

    async def handle(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        key = prompt if isinstance(prompt, str) else json.dumps(prompt)
        self.counts[key] += 1
        call = Call(http.path, body, key, self.counts[key], time.monotonic(), dict(http.headers), http)
        self.calls.append(call)
        self.n_now += 1
        self.n_most = max(self.n_most, self.n_now)
        try:
            reply = await self.handler(call)
        finally:
            self.n_now -= 1
        if reply.status == 200 and not getattr(reply, "broken", False):
            self.successes[key] += 1
        return reply


def say(text: str | None = "neutral", finish: str = "stop", **more: Any) -> web.Response:
    """An answer in the form that fits both endpoints; `more` goes to the top level, `message` and `choice` inside."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    choice = {"index": 0, "message": message, "text": text, "finish_reason": finish, **more.pop("choice", {})}
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    return web.json_response({"id": "x", "choices": [choice], "usage": usage, **more})


def fail(status: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any) -> web.Response:
    """An error in OpenAI's form."""
    return web.json_response({"error": {"message": message, **error}}, status=status, headers=headers)


def garbled() -> web.Response:
    """Status 200, and half of a JSON document."""
    reply = web.Response(text='{"choices": [{"mess', content_type="application/json")
    reply.broken = True  # type: ignore[attr-defined]
    return reply


async def cut(call: Call) -> web.StreamResponse:
    """Status 200, half of the promised bytes, and the connection is gone."""
    reply = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    reply.broken = True  # type: ignore[attr-defined]
    await reply.prepare(call.http)
    await reply.write(b'{"choices": [')
    assert call.http.transport is not None
    call.http.transport.abort()
    return reply


@pytest.fixture
def open_app() -> Iterator[Callable[[web.Application], str]]:
    """Opens applications on loopback ports, in one background loop; returns addresses."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runners: list[web.AppRunner] = []

    async def open_site(app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}/v1"

    yield lambda app: asyncio.run_coroutine_threadsafe(open_site(app), loop).result(10)
    for runner in runners:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def loopback(open_app: Callable[[web.Application], str]) -> Callable[[Handler], Loopback]:
    """Starts servers; call it with what they answer."""

    def start(handler: Handler) -> Loopback:
        server = Loopback(handler)
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/{path:.*}", server.handle)
        server.url = open_app(app)
        return server

    return start


class CheckedBackend(OpenAIBackend):
    """The back end itself, asked by somebody who looks whether each answer was kept before it came."""

    kept: dict[int, Response]

    def checked(self, requests: Iterator[Request]) -> Iterator[tuple[int, Response]]:
        """Yields what `answer` does."""
        self.kept = {}

        def keep(number: int, response: Response) -> None:
            assert number not in self.kept
            self.kept[number] = response

        for number, response in self.answer(requests, keep):
            assert self.kept[number] is response
            yield number, response


@pytest.fixture
def openai_backend(tmp_path: Path) -> Callable[..., CheckedBackend]:
    """Builds the back end of a server, with backoff in milliseconds; keywords are call settings."""

    def build(server: Loopback | str, base_delay: float = 0.002, **calls: Any) -> CheckedBackend:
        url = server if isinstance(server, str) else server.url
        settings = CallSettings(cache=tmp_path / "responses.sqlite", **calls)
        return CheckedBackend(ModelSettings("openai", "m", base_url=url), settings, _base_delay=base_delay)

    return build


@pytest.fixture
def ask() -> Callable[..., Request]:
    """Builds a request from the text of its last message."""

    def build(text: str, form: str = "chat", **more: Any) -> Request:
        decoding = more.pop("decoding", Decoding())
        prompt = Prompt((Message("system", "You label."), Message("user", text)), form)  # type: ignore[arg-type]
        return Request(prompt, ("neutral", "joy"), decoding=decoding, **more)

    return build


@pytest.fixture
def wire() -> Any:
    """What a server can answer: `say`, `fail`, `garbled`, `cut`."""

    class Wire:
        say = staticmethod(say)
        fail = staticmethod(fail)
        garbled = staticmethod(garbled)
        cut = staticmethod(cut)

    return Wire
