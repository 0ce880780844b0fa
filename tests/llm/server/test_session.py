"""The thread that serves: whatever happens in it, nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from harness.llm.server.session import Session


async def nothing() -> None:
    """Has nothing to wait for."""


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """Returns what a function does, or fails the test where it hangs."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(seconds)


@contextmanager
def thread_ends() -> Iterator[None]:
    yield
    assert not any(thread.name == "erc-calls" for thread in threading.enumerate())


class UnusualError(BaseException):
    """Nothing that `except Exception` catches."""


@pytest.mark.parametrize("kind", [ValueError, UnusualError, SystemExit, asyncio.CancelledError])
def test_whatever_serving_raises_is_raised_in_the_caller_and_ends_the_session(kind: type[BaseException]) -> None:
    async def serve(item: str) -> str:
        if item == "bad":
            await asyncio.sleep(0.01)
            raise kind("oh")
        await asyncio.sleep(3600.0 if item == "long" else 0.0)
        return item

    def use() -> None:
        with Session(serve, nothing, nothing) as session:
            for item in ("long", "good", "bad"):
                session.send(item)
            assert session.receive() == "good"
            with pytest.raises(kind, match="oh"):
                session.receive()
            assert [session.receive() for _ in range(3)] == [None] * 3  # the long one is cancelled, not waited for

    with thread_ends():
        within(10, use)


@pytest.mark.parametrize("begun", [True, False])
def test_a_thread_that_dies_says_so(begun: bool) -> None:
    async def serve(item: str) -> str:
        def die() -> None:
            raise SystemExit("dead")

        if item == "one":
            asyncio.get_running_loop().call_soon(die)
        await asyncio.sleep(3600.0)
        return item

    def use() -> None:
        with pytest.raises(SystemExit, match="dead"), Session(serve, nothing, nothing) as session:
            session.send("one")
            if begun:
                session._thread.join()
            session.send("two")
            for _ in range(2):
                with pytest.raises(SystemExit, match="dead"):
                    session.receive()

    with thread_ends():
        within(10, use)


def test_what_closing_raises_is_raised() -> None:
    async def serve(item: str) -> str:
        return item

    async def close() -> None:
        raise OSError("cannot close")

    def use() -> None:
        with Session(serve, nothing, close) as session:
            session.send("one")
            assert session.receive() == "one"

    with thread_ends(), pytest.raises(OSError, match="cannot close"):
        within(10, use)


def test_what_settling_waits_for_still_comes() -> None:
    arrived = asyncio.Event()

    async def serve(item: str) -> str:
        if item == "bad":
            raise ValueError
        await asyncio.sleep(0.05)
        arrived.set()
        return item

    async def settle() -> None:
        await arrived.wait()

    def use() -> None:
        with Session(serve, settle, nothing) as session:
            session.send("good")
            session.send("bad")
            with pytest.raises(ValueError):
                session.receive()
            assert [session.receive(), session.receive()] == ["good", None]

    with thread_ends():
        within(10, use)
