"""What is paid for is kept: whoever takes answers may be slow or stop, and whoever gives them may fail."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.errors import CallsStoppedError, HarnessError, ModelError, StoreError
from harness.llm import Request, Response

Ask = Callable[..., Request]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_what_a_slow_taker_has_not_taken_is_kept(loopback: Any, openai_backend: Any, ask: Ask, wire: Any) -> None:
    async def handler(call: Any) -> Any:
        return wire.say()

    asked: list[str] = []

    def requests() -> Iterator[Request]:
        for i in range(500):
            asked.append(f"p{i}")
            yield ask(asked[-1])

    server = loopback(handler)
    backend = openai_backend(server, concurrency=32)
    with pytest.raises(KeyboardInterrupt):
        for n_taken, _ in enumerate(backend.checked(requests()), start=1):
            if n_taken == 6:
                wait_until(lambda: len(backend.kept) == len(asked))
                raise KeyboardInterrupt
    assert sorted(backend.kept) == list(range(len(asked)))
    assert set(server.successes) == set(asked)
    assert 32 <= len(asked) <= 6 + 2 * 32  # what waits to be taken is bounded


FATES = {
    "wrong key": (ModelError, "refuses the key"),
    "no store": (StoreError, "disk full"),
    "nobody": (CallsStoppedError, "nobody answers"),
}


@pytest.mark.parametrize("fate", FATES)
def test_calls_in_flight_are_kept_before_the_command_stops(
    loopback: Any, openai_backend: Any, ask: Ask, wire: Any, fate: str
) -> None:
    failed, paused = threading.Event(), threading.Event()

    async def handler(call: Any) -> Any:
        number = int(call.prompt[1:])
        if number < 2:  # in flight while all others fail, and good
            while not failed.is_set():
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.1)
            return wire.say(call.prompt)
        if fate == "nobody":
            while server.n_now < 10 and not failed.is_set():
                await asyncio.sleep(0.001)
            failed.set()
            return wire.fail(500)
        if number == 2:  # nobody waits for this one
            paused.set()
            return wire.fail(503, headers={"Retry-After": "250"})
        while not paused.is_set() or server.n_now < 3:
            await asyncio.sleep(0.001)
        failed.set()
        return wire.fail(401, "bad key") if fate == "wrong key" else wire.say("not to be kept")

    kept: dict[int, Response] = {}

    def keep(number: int, response: Response) -> None:
        if number > 2:
            raise StoreError("disk full")
        kept[number] = response

    server = loopback(handler)
    n_in_flight = 10 if fate == "nobody" else 4
    backend = openai_backend(server, concurrency=n_in_flight, max_retries=0 if fate == "nobody" else 6)
    kind, said = FATES[fate]
    taken: dict[int, Response] = {}
    begin = time.monotonic()
    with pytest.raises(HarnessError, match=said) as caught:
        for number, response in backend.answer((ask(f"p{i}") for i in range(99)), keep):
            taken[number] = response
    assert caught.type is kind
    assert {number: response.text for number, response in kept.items()} == {0: "p0", 1: "p1"}
    assert taken == kept
    assert len(server.calls) <= 2 * n_in_flight
    assert time.monotonic() - begin < 20
    assert not any(thread.name == "erc-calls" for thread in threading.enumerate())
