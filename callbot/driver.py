"""The one asyncio driver: it runs a call on any line, in real or manual time.

A line turns the world into events and commands into the world; everything else a call needs (the
model, the clock, the Record) is the same for all of them and lives here. The contract it keeps is
written in ``call.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

from callbot import events as ev
from callbot.business import Business
from callbot.call import Call, Phase
from callbot.models.base import Model, Request
from callbot.record import Record
from callbot.respond import Answer, respond

Emit = Callable[[ev.Event], None]
"""Hands an event to the driver; never blocks."""


class Line(Protocol):
    """One way to reach a caller."""

    async def run(self, emit: Emit) -> None:
        """Emit what happens on the line, from ``CallStarted`` on; when it returns, the caller is gone."""
        ...

    async def perform(self, command: ev.Speak | ev.ClearAudio | ev.HangUp) -> None:
        """Do it. Must return without waiting for audio to be played."""
        ...


class Clock(Protocol):
    """Where a driver's time comes from."""

    def now(self) -> float:
        """Seconds from any origin."""
        ...

    async def next(self, queue: asyncio.Queue[Arrival], deadline: float | None, *, thinking: bool) -> Arrival:
        """The next thing that arrives, or a Tick once ``deadline`` has come.

        ``thinking``: a model is working on an answer.
        """
        ...


Arrival = Answer | ev.Event
"""What a driver's queue holds: events of the line, answers of models and their notes."""


class RealClock:
    """Monotonic time."""

    def now(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()

    async def next(self, queue: asyncio.Queue[Arrival], deadline: float | None, *, thinking: bool) -> Arrival:
        """Wait for the queue, but no longer than the deadline."""
        if deadline is None:
            return await queue.get()
        try:
            async with asyncio.timeout(max(0.0, deadline - self.now())):
                return await queue.get()
        except TimeoutError:
            return ev.Tick()


class ManualClock:
    """Time that stands still until somebody advances it (``callbot chat``)."""

    def __init__(self) -> None:
        self._now = 0.0
        self._until = 0.0
        self._advanced = asyncio.Event()
        self.when_settled: Callable[[], None] = lambda: None
        """Called each time that nothing more happens by itself: all time advanced has passed."""

    def now(self) -> float:
        """Seconds advanced so far."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass; every deadline on the way is met in its order."""
        self._until += seconds
        self._advanced.set()

    async def next(self, queue: asyncio.Queue[Arrival], deadline: float | None, *, thinking: bool) -> Arrival:
        """What is in the queue now, else the next deadline within the time advanced so far.

        While a model thinks, no time passes.
        """
        while True:
            if not queue.empty():
                return queue.get_nowait()
            if thinking:
                return await queue.get()
            if deadline is not None and deadline <= self._until:
                self._now = max(self._now, deadline)
                return ev.Tick()
            self._now = self._until
            self._advanced.clear()
            self.when_settled()
            arrival = asyncio.ensure_future(queue.get())
            advanced = asyncio.ensure_future(self._advanced.wait())
            await asyncio.wait({arrival, advanced}, return_when=asyncio.FIRST_COMPLETED)
            advanced.cancel()
            if arrival.done():
                return arrival.result()
            arrival.cancel()


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Who answers, and what of the call it needs to know beside the conversation."""

    business: Business
    model: Model
    fallback: Model | None = None
    caller_number: str | None = None
    wall_clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)

    def request(self, question: ev.AskModel) -> Request:
        """The engine's question as models get it."""
        return Request(
            business=self.business,
            history=question.history,
            lead=question.lead,
            missing=question.missing,
            occasion=question.occasion,
            detail=question.detail,
            now=self.wall_clock(),
            caller_number=self.caller_number,
            seconds_left=question.seconds_left,
            turn=question.turn,
        )

    def ask(self, question: ev.AskModel) -> AsyncGenerator[tuple[float, Answer], None]:
        """Put a question to the model it is meant for."""
        model = self.fallback if question.fallback and self.fallback else self.model
        return respond(model, self.request(question), question.turn)


class Answers(Protocol):
    """Whoever answers the engine's questions: a Dialogue, or one whose answers take virtual time."""

    def ask(self, question: ev.AskModel) -> AsyncGenerator[tuple[float, Answer], None]:
        """Yield ``(seconds since asked, answer)``, each when the call is to have it."""
        ...


Observer = Callable[[float, "ev.Event | ev.Command", Call], None]
"""Told of everything that happens on a call, after it was written down (screens, metrics)."""


class Driver:
    """Runs one call on one line."""

    def __init__(
        self,
        call: Call,
        line: Line,
        dialogue: Answers,
        record: Record,
        *,
        clock: Clock | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._call, self._line, self._dialogue, self._record = call, line, dialogue, record
        self._clock = clock or RealClock()
        self._observe = observe or (lambda t, what, call: None)
        self._queue: asyncio.Queue[Arrival] = asyncio.Queue()
        self._asking: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run until the call is over. What the line or an observer raises ends the call and is raised."""
        listening = asyncio.create_task(self._listen())
        try:
            while self._call.phase is not Phase.OVER:
                arrival = await self._clock.next(
                    self._queue, self._call.deadline, thinking=bool(self._asking)
                )
                await self._take(arrival)
        finally:
            for task in (listening, *self._asking.values()):
                task.cancel()
            results = await asyncio.gather(listening, *self._asking.values(), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _listen(self) -> None:
        try:
            await self._line.run(self._queue.put_nowait)
        finally:
            self._queue.put_nowait(ev.CallerHungUp())

    async def _take(self, arrival: Arrival) -> None:
        now = self._clock.now()
        if isinstance(arrival, ev.Note):
            self._record.note(now, arrival.type, **arrival.data)
            self._observe(now, arrival, self._call)
            return
        self._record.event(now, arrival)
        commands = self._call.receive(arrival, now)
        self._observe(now, arrival, self._call)
        for command in commands:
            self._record.command(now, command)
            self._observe(now, command, self._call)
            await self._obey(command)

    async def _obey(self, command: ev.Command) -> None:
        if isinstance(command, (ev.Speak, ev.ClearAudio, ev.HangUp)):
            await self._line.perform(command)
        elif isinstance(command, ev.AskModel):
            self._asking[command.turn] = asyncio.create_task(self._ask(command))
        elif isinstance(command, ev.CancelModel) and command.turn in self._asking:
            self._asking.pop(command.turn).cancel()

    async def _ask(self, question: ev.AskModel) -> None:
        try:
            async with contextlib.aclosing(self._dialogue.ask(question)) as answers:
                async for _, answer in answers:
                    self._queue.put_nowait(answer)
        except Exception as error:  # noqa: BLE001 - whatever broke, the call goes on: fallback or apology
            self._queue.put_nowait(ev.ReplyFailed(question.turn, f"{type(error).__name__}: {error}"))
        finally:
            self._asking.pop(question.turn, None)
