"""What a call costs on this side of the wire: ours, the official client, lm-eval and a bare HTTP client.

The server is another process that gives one canned answer, at once or after 200 ms. Ours goes through
`OpenAIBackend.answer` and does more than the others: lazy requests, one pace for all, retries, and a thread of its own,
so that the caller is no coroutine. It is faster than the official client's `chat.completions.create` because it posts
the body through that client and reads the JSON itself: what `create` does beyond that is half of its time. It is
slower than lm-eval and bare aiohttp, which leave the official client out: about 0.8 ms of one core a call, which nobody
notices who waits for a language model. One start a turn of the loop costs a fifth of the rate at a server that answers
at once, and gains 6 % where answers take 200 ms: calls that came back together would go on waiting for each other.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

WORDS = " ".join(f"word{i}" for i in range(150))

MESSAGE = {"role": "assistant", "content": "neutral"}
ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 1, "total_tokens": 201},
}  # fmt: skip

LATENCY = 0.2
N_SLOW = 64
"""In flight at the server that takes its time."""

OF_OFFICIAL = 0.9
"""Rate of ours over that of the official client, at least."""
OF_IDEAL = 0.95
"""Rate of ours over in flight / latency, at least."""
N_LONG = 50_000
SAME_COST = 1.10
"""Processor time a request at the end of a long run over that at its beginning, at most."""
MOST_GROWTH = 16.0
"""MiB that the process may grow from request 5,000 to 50,000."""

Alternate = Callable[..., dict[str, float]]
Keep = Callable[..., None]


class Canned(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as much of it as the clients here use: one answer a request, after `latency`."""

    latency = 0.0
    body = json.dumps(ANSWER).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.read = transport, b""

    def data_received(self, data: bytes) -> None:
        self.read += data
        while (n_head := self.read.find(b"\r\n\r\n") + 4) > 3:
            n_body = int(self.read[:n_head].lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.read) < n_head + n_body:
                return
            self.read = self.read[n_head + n_body :]
            write: Any = self.transport.write  # type: ignore[attr-defined]
            if self.latency:
                asyncio.get_running_loop().call_later(self.latency, write, self.reply)
            else:
                write(self.reply)


async def serve(latency: float) -> None:
    """Serves for ever, and prints the port."""
    Canned.latency = latency
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving(latency: float) -> Iterator[str]:
    """Yields the address of a server in a process of its own."""
    process = subprocess.Popen([sys.executable, __file__, str(latency)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def messages(i: int) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Say what the speaker feels."}, {"role": "user", "content": f"{WORDS} {i}"}]


async def drive(call: Callable[[int], Awaitable[str]], n_requests: int, n_in_flight: int) -> None:
    """Makes calls with so many coroutines, as the documentation of HTTP clients advises."""
    numbers = iter(range(n_requests))

    async def work() -> None:
        for i in numbers:
            assert await call(i) == "neutral"

    await asyncio.gather(*(work() for _ in range(n_in_flight)))


def bare_aiohttp(url: str, n_requests: int, n_in_flight: int) -> None:
    import aiohttp

    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=n_in_flight)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def call(i: int) -> str:
                body = {"model": "m", "messages": messages(i), "max_tokens": 16, "temperature": 0.0}
                async with session.post(f"{url}/chat/completions", json=body) as reply:
                    return str((await reply.json())["choices"][0]["message"]["content"])

            await drive(call, n_requests, n_in_flight)

    asyncio.run(run())


def official(url: str, n_requests: int, n_in_flight: int, with_aiohttp: bool) -> None:
    import openai

    async def run() -> None:
        transport = openai.DefaultAioHttpClient() if with_aiohttp else None
        async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0, http_client=transport) as client:

            async def call(i: int) -> str:
                made: Any = messages(i)
                answer = await client.chat.completions.create(
                    model="m", messages=made, max_tokens=16, temperature=0.0
                )  # fmt: skip
                return str(answer.choices[0].message.content)

            await drive(call, n_requests, n_in_flight)

    asyncio.run(run())


def lm_eval(url: str, n_requests: int, n_in_flight: int) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.api.registry import get_model
    from lm_eval.models.api_models import JsonChatStr

    settings = {
        "model": "m", "base_url": f"{url}/chat/completions", "num_concurrent": n_in_flight, "max_retries": 1,
        "tokenizer_backend": None, "tokenized_requests": False,
    }  # fmt: skip
    model = get_model("local-chat-completions").create_from_arg_obj(settings, {"batch_size": 1})
    options = {"until": [], "max_gen_toks": 16, "do_sample": False}
    prompts = [JsonChatStr(json.dumps(messages(i))) for i in range(n_requests)]
    asked = [Instance("generate_until", {}, (prompt, dict(options)), i) for i, prompt in enumerate(prompts)]
    assert model.generate_until(asked, disable_tqdm=True) == ["neutral"] * n_requests


def ours(url: str, n_requests: int, n_in_flight: int) -> Iterator[tuple[int, Any]]:
    from harness.llm import CallSettings, ModelSettings, Request
    from harness.llm.server.backend import OpenAIBackend
    from harness.prompting import Message, Prompt

    def requests() -> Iterator[Request]:
        for i in range(n_requests):
            system, user = (Message(m["role"], m["content"]) for m in messages(i))  # type: ignore[arg-type]
            yield Request(Prompt((system, user), "chat"), ("neutral", "joy"))

    settings = ModelSettings("openai", "m", base_url=url)
    backend = OpenAIBackend(settings, CallSettings(concurrency=n_in_flight))
    yield from backend.answer(requests(), lambda number, response: None)


def exhaust(url: str, n_requests: int, n_in_flight: int) -> None:
    """Takes all answers of ours."""
    assert {r.text for _, r in ours(url, n_requests, n_in_flight)} == {"neutral"}


def test_a_server_that_answers_at_once(alternate: Alternate, keep: Keep) -> None:
    n, flight = 1500, 32
    with serving(0.0) as url:
        seconds = alternate(
            {
                "aiohttp": lambda: bare_aiohttp(url, n, flight),
                "lm_eval": lambda: lm_eval(url, n, flight),
                "openai_httpx": lambda: official(url, n, flight, with_aiohttp=False),
                "openai_aiohttp": lambda: official(url, n, flight, with_aiohttp=True),
                "ours": lambda: exhaust(url, n, flight),
            },
            3,
        )
    rates = {name: n / took for name, took in seconds.items()}
    best = max(rates["openai_httpx"], rates["openai_aiohttp"])
    keep(
        "api_path_instant", {
            "requests_per_second": {name: round(rate) for name, rate in rates.items()}, "n_requests": n,
            "in_flight": flight, "ratio_to_official": round(rates["ours"] / best, 3), "bound": OF_OFFICIAL,
        }, ["openai", "aiohttp", "lm-eval"],
    )  # fmt: skip
    assert rates["ours"] >= OF_OFFICIAL * best


def test_a_server_that_takes_its_time(alternate: Alternate, keep: Keep) -> None:
    n, ideal = 100 * N_SLOW, N_SLOW / LATENCY
    with serving(LATENCY) as url:
        things = {"lm_eval": lambda: lm_eval(url, n, N_SLOW), "ours": lambda: exhaust(url, n, N_SLOW)}
        seconds = alternate(things, 1)
    rates = {name: n / took for name, took in seconds.items()}
    keep(
        "api_path_latency", {
            "requests_per_second": {name: round(rate, 1) for name, rate in rates.items()}, "ideal": ideal,
            "n_requests": n, "in_flight": N_SLOW, "latency_seconds": LATENCY,
            "ratio_to_ideal": round(rates["ours"] / ideal, 3), "bound": OF_IDEAL,
        }, ["openai", "aiohttp", "lm-eval"],
    )  # fmt: skip
    assert rates["ours"] >= OF_IDEAL * ideal
    assert rates["ours"] >= rates["lm_eval"]


def resident() -> float:
    """Returns the memory of this process in MiB."""
    n_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return n_pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_a_long_run_costs_no_more_a_request_than_a_short_one(keep: Keep) -> None:
    block = 1000
    seconds: list[float] = []
    memory: list[float] = []
    with serving(0.0) as url:
        begin = time.process_time()
        for n_done, _ in enumerate(ours(url, N_LONG, 32), start=1):
            if n_done % block == 0:
                seconds.append(time.process_time() - begin)
                memory.append(resident())
                begin = time.process_time()
    early, late = median(seconds[1:5]), median(seconds[-5:])
    growth = memory[-1] - memory[4]
    keep(
        "api_path_long", {
            "n_requests": N_LONG, "processor_ms_a_request_at_1000_to_5000": round(early / block * 1e3, 4),
            "processor_ms_a_request_at_the_end": round(late / block * 1e3, 4), "ratio": round(late / early, 3),
            "bound": SAME_COST, "resident_mib": round(memory[-1], 1),
            "growth_mib_from_5000": round(growth, 2), "growth_bound_mib": MOST_GROWTH,
        }, ["openai", "aiohttp"],
    )  # fmt: skip
    assert late <= SAME_COST * early
    assert growth <= MOST_GROWTH


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
