"""A thread with an event loop that serves requests while the caller goes on: requests in, outcomes out.

Knows no protocol. The caller's thread takes requests from its iterator and hands over outcomes, so that neither the
iterator nor what is done with an outcome runs in another thread than the caller's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Session(Generic[T, R]):
    """Serves items side by side in a thread of its own, which ends with the block.

    When serving one item raises, the session ends: what `settle` waits for still comes, the rest is cancelled.
    """

    def __init__(
        self,
        serve: Callable[[T], Awaitable[R]],
        settle: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """Starts nothing yet.

        Args:
            serve: turns an item into a result; whatever it raises is raised by `receive`.
            settle: waits until nothing is under way that should not be cancelled, and lets nothing new start.
            close: called in the loop when nothing runs any more.
        """
        self._serve = serve
        self._settle = settle
        self._close = close
        self._done: SimpleQueue[tuple[R | None, BaseException | None]] = SimpleQueue()
        """Outcomes; one with neither result nor error, or with the error of the thread itself, is the last."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="erc-calls", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self._ending: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self.n_unreceived = 0
        """Items that were sent and not received yet."""

    def __enter__(self) -> Session[T, R]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancels what runs, and waits for the thread to end; raises what the thread failed with, if nothing else."""
        self._call(self._loop.stop)
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    @property
    def n_running(self) -> int:
        """Items that are being served."""
        return self.n_unreceived - self._done.qsize()

    def send(self, item: T) -> None:
        """Has an item served."""
        self.n_unreceived += 1
        self._call(lambda: self._start(item))

    def receive(self) -> R | None:
        """Waits for the next result, in the order in which they arrive; raises what serving raised.

        Returns None when no more comes: the session has ended.
        """
        result, error = self._done.get()
        if result is None and (error is None or error is self._failure):
            self._done.put((result, error))  # the last one stays, for whoever asks again
        self.n_unreceived -= 1
        if error is not None:
            raise error
        return result

    def _call(self, function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the thread has ended, and `receive` says why
            self._loop.call_soon_threadsafe(function)

    def _start(self, item: T) -> None:
        task = self._loop.create_task(self._finish(item))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, item: T) -> None:
        try:
            self._done.put((await self._serve(item), None))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self._is_ending:
                return  # cancelled from here
            self._done.put((None, error))  # raised in the caller's thread
            if not self._is_ending:
                self._is_ending = True
                self._ending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        await self._settle()
        await self._cancel()
        self._done.put((None, None))

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wind_up(self) -> None:
        self._is_ending = True
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
        await self._cancel()
        await self._close()

    def _run(self) -> None:
        try:
            try:
                self._loop.run_forever()
            finally:
                self._loop.run_until_complete(self._wind_up())
        except BaseException as error:
            self._failure = error  # raised in the caller's thread
        finally:
            self._loop.close()
            self._done.put((None, self._failure))
