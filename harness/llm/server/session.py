"""A thread with an event loop that serves requests while the caller goes on: requests in, outcomes out.

Knows no protocol. The caller's thread takes requests from its iterator and hands over outcomes, so that neither the
iterator nor what is done with an answer runs in another thread than the caller's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Session(Generic[T, R]):
    """Serves items side by side in a thread of its own, which ends with the block."""

    def __init__(self, serve: Callable[[T], Awaitable[R]], close: Callable[[], Awaitable[None]]) -> None:
        """Starts nothing yet.

        Args:
            serve: turns an item into a result; an exception of it is raised by `receive`.
            close: called in the loop when nothing runs any more.
        """
        self._serve = serve
        self._close = close
        self._done: SimpleQueue[tuple[R | None, BaseException | None]] = SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="erc-calls", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.n_unreceived = 0
        """Items that were sent and not received yet."""

    def __enter__(self) -> Session[T, R]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancels what runs, and waits for the thread to end."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def n_running(self) -> int:
        """Items that are being served."""
        return self.n_unreceived - self._done.qsize()

    @property
    def n_arrived(self) -> int:
        """Results that `receive` gives without waiting."""
        return self._done.qsize()

    def send(self, item: T) -> None:
        """Has an item served."""
        self.n_unreceived += 1
        self._loop.call_soon_threadsafe(self._start, item)

    def receive(self) -> R:
        """Waits for the next result, in the order in which they arrive; raises what serving raised."""
        result, error = self._done.get()
        self.n_unreceived -= 1
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # there is one where there is no error

    def _start(self, item: T) -> None:
        task = self._loop.create_task(self._finish(item))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, item: T) -> None:
        try:
            self._done.put((await self._serve(item), None))
        except Exception as error:
            self._done.put((None, error))  # raised in the caller's thread

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._wind_up())
        finally:
            self._loop.close()

    async def _wind_up(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close()
