"""Virtual time: an event loop whose clock jumps, and the one way out of it to work that takes real time.

Everything of a rehearsed call (carrier, line, ears, driver, caller) runs on a ``VirtualLoop`` in a
thread of its own. When nothing is ready, the loop does not sleep until its next timer: its clock jumps
there, so that an hour of silence costs nothing but its frames. Whatever really takes time (a model, a
voice, a recogniser, each on sockets and threads of its own) runs on the process's ordinary event loop,
reached through ``Outside``. Its doors *block* the virtual loop's thread, and with it the clock: no
virtual time passes while the world outside works, and what happens next on the call does not depend on
how fast it worked. The time that an answer took is virtual time only where ``Outside.timed`` is asked
to make it so.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from callbot import events as ev
from callbot.driver import Arrival, RealClock

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing that only time brings: the clock moves on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer at all: only another thread can go on
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now


class VirtualClock(RealClock):
    """A driver's clock on the running virtual loop, to the microsecond; see ``driver.Clock``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reached = 0.0

    def now(self) -> float:
        """Virtual seconds."""
        return max(self._reached, round(self._loop.time(), 6))

    async def next(self, queue: asyncio.Queue[Arrival], deadline: float | None, *, thinking: bool) -> Arrival:
        """What arrives, or a Tick once the deadline has come; see ``driver.Clock``.

        Timers fire up to the loop's resolution early. Real clocks move on before they are read again;
        this one would stand there, and the Tick come again and again.
        """
        arrival = await super().next(queue, deadline, thinking=thinking)
        if deadline is not None and isinstance(arrival, ev.Tick):
            self._reached = max(self._reached, deadline)
        return arrival


class Stopped(Exception):
    """The call was stopped from outside."""


class _Failed(Generic[T]):
    """What was raised outside."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Outside:
    """The ordinary event loop, as one virtual loop reaches it. To be used in that loop's thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waited_for: set[Future[Any]] = set()
        self._stopped = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it outside; the clock stands still meanwhile. Raises what it raises, or Stopped."""
        future = self._start(work)
        try:
            return future.result()
        except BaseException as error:
            if self._stopped:
                raise Stopped from error
            raise
        finally:
            self._waited_for.discard(future)

    def do(self, work: Callable[[], T]) -> T:
        """Call a function outside, where what it needs of an event loop is at home."""

        async def called() -> T:
            return work()

        return self.run(called())

    async def stream(
        self, make: Callable[[], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[tuple[float, T], None]:
        """What a generator yields outside, each with the real seconds since it was begun.

        It runs there as fast as it can, whatever is done with its items here meanwhile. Closing this
        generator abandons it.
        """
        items: SimpleQueue[tuple[float, T] | _Failed[T] | None] = SimpleQueue()

        async def pump() -> None:
            began = time.perf_counter()
            try:
                async with aclosing(make()) as source:
                    async for item in source:
                        items.put((time.perf_counter() - began, item))
            except Exception as error:  # noqa: BLE001 - raised again where the items are taken
                items.put(_Failed(error))

        future = self._start(pump())
        future.add_done_callback(lambda done: items.put(None))
        try:
            while (item := items.get()) is not None:
                if isinstance(item, _Failed):
                    raise item.error
                yield item
            self.check()
        finally:
            future.cancel()
            self._waited_for.discard(future)

    async def timed(
        self, make: Callable[[], AsyncGenerator[T, None]], *, counted: bool
    ) -> AsyncGenerator[T, None]:
        """The same without the seconds; ``counted``: each item comes when it came, in virtual time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with aclosing(self.stream(make)) as items:
            async for seconds, item in items:
                if counted:
                    await asyncio.sleep(began + seconds - loop.time())
                yield item

    def stop(self) -> None:
        """From any thread: nothing outside is waited for any more."""
        self._stopped = True
        for future in list(self._waited_for):
            future.cancel()

    def check(self) -> None:
        """Raise Stopped if it was."""
        if self._stopped:
            raise Stopped

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._stopped:
            work.close()
        self.check()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._waited_for.add(future)
        return future
