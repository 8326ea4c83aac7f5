"""The asyncio driver and manual time: what happens when a model, a line or the whole call breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from callbot import events as ev
from callbot.business import Business, rules_of
from callbot.call import Call, Phase
from callbot.driver import Dialogue, Driver, Emit, ManualClock, RealClock
from callbot.events import EndedBy
from callbot.models.base import Delta, Finished, Request
from callbot.record import Record, header

BUSINESS = Business.model_validate(
    {
        "id": "shop",
        "name": "Shop",
        "language": "en",
        "greeting": {"text": "Hello."},
        "fields": [{"name": "name"}],
        "sentences": {"apology": "Sorry?", "failure": "We are closed."},
        "prompt": "Answer.",
    }
)
RULES = rules_of(BUSINESS)


@dataclass
class ModelThat:
    """A model that does one thing when it is asked; it remembers whether it was cancelled."""

    does: Callable[[], Awaitable[None]]
    name: str = "test"
    latency: float | None = 0.0
    uses_prompt: bool = False
    cancelled: list[int] = field(default_factory=list)

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        try:
            await self.does()
        except asyncio.CancelledError:
            self.cancelled.append(request.turn)
            raise
        yield Finished()

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class LineThat:
    """A line that plays at once what it is told to, and does ``acts`` from its start."""

    acts: Callable[[Emit], Awaitable[None]]
    told: list[ev.Command] = field(default_factory=list)
    emit: Emit | None = None
    closed: bool = False

    async def run(self, emit: Emit) -> None:
        self.emit = emit
        emit(ev.CallStarted())
        try:
            await self.acts(emit)
        finally:
            self.closed = True

    async def perform(self, command: ev.Speak | ev.ClearAudio | ev.HangUp) -> None:
        self.told.append(command)
        if isinstance(command, ev.Speak):
            assert self.emit is not None
            self.emit(ev.Played(command.mark))


async def for_ever(*_: object) -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


async def breaks(*_: object) -> None:
    """A fault nobody foresaw."""
    raise KeyError("surprise")


async def soon(condition: Callable[[], object]) -> None:
    """Let everything run until the condition holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def make_driver(
    line: LineThat, model: ModelThat, clock: ManualClock | None = None
) -> tuple[Driver, Call, Record]:
    """A driver with everything it needs."""
    call, record = Call(RULES), Record(header(call_id="test", rules=RULES))
    driver = Driver(call, line, Dialogue(BUSINESS, model), record, clock=clock or ManualClock())
    return driver, call, record


async def test_model_that_raises_fails_its_turn_not_the_call():
    """Whatever a model raises becomes ReplyFailed: apology, and after the second one the end."""

    async def caller(emit: Emit) -> None:
        for _ in range(2):
            emit(ev.UserSpoke("hello"))
            await soon(lambda: len(line.told) > len(emitted))
            emitted.append(ev.UserSpoke("hello"))
        clock.advance(RULES.linger)
        await for_ever()

    emitted: list[ev.Event] = []
    clock = ManualClock()
    line = LineThat(caller)
    driver, call, record = make_driver(line, ModelThat(breaks), clock)
    await driver.run()
    assert [speak.text for speak in line.told if isinstance(speak, ev.Speak)] == ["Sorry?", "We are closed."]
    assert [failed.error for _, failed in record.of(ev.ReplyFailed)] == ["KeyError: 'surprise'"] * 2
    assert call.ending is not None
    assert call.ending.by is EndedBy.FAILURE
    assert isinstance(line.told[-1], ev.HangUp)


async def test_line_that_ends_is_a_caller_who_left():
    """When a line's run returns, the call is over, and the model is not left thinking."""

    async def caller(emit: Emit) -> None:
        emit(ev.UserSpoke("hello"))
        await soon(lambda: call.turn.asking)

    model = ModelThat(for_ever)
    line = LineThat(caller)
    driver, call, record = make_driver(line, model)
    await driver.run()
    assert call.ending is not None
    assert call.ending.by is EndedBy.CALLER
    assert record.entries[-1].what == ev.CancelModel(1)
    assert line.told == []


async def test_line_that_breaks_ends_the_call_and_says_so():
    """A line's own fault is not swallowed: the call ends and the error comes out of run."""
    line = LineThat(breaks)
    driver, call, record = make_driver(line, ModelThat(for_ever))
    with pytest.raises(KeyError, match="surprise"):
        await driver.run()
    assert call.phase is Phase.OVER
    assert isinstance(record.entries[-1].what, ev.CallerHungUp)


async def test_observer_that_breaks_ends_the_call_and_leaves_nothing_behind():
    """An observer's fault comes out of run, with line and model put away."""

    def watch(t: float, what: ev.Event | ev.Command, call: Call) -> None:
        match what:
            case ev.AskModel():
                raise RuntimeError("no screen")

    async def caller(emit: Emit) -> None:
        emit(ev.UserSpoke("hello"))
        await for_ever()

    line, call = LineThat(caller), Call(RULES)
    record = Record(header(call_id="test", rules=RULES))
    dialogue = Dialogue(BUSINESS, ModelThat(for_ever))
    driver = Driver(call, line, dialogue, record, clock=ManualClock(), observe=watch)
    with pytest.raises(RuntimeError, match="no screen"):
        await driver.run()
    assert line.closed


async def test_interrupted_model_is_cancelled():
    """CancelModel stops the request itself, not only its answer."""

    async def caller(emit: Emit) -> None:
        emit(ev.UserSpoke("hello"))
        await soon(lambda: call.turn.number == 1)
        await asyncio.sleep(0)
        emit(ev.UserSpoke("no, wait"))
        await soon(lambda: model.cancelled)

    model = ModelThat(for_ever)
    driver, call, record = make_driver(LineThat(caller), model)
    await driver.run()
    assert model.cancelled[0] == 1
    assert [ask.turn for _, ask in record.of(ev.AskModel)] == [1, 2]
    assert list(record.of(ev.ReplyFailed)) == []


async def test_cancelled_driver_puts_line_and_model_away():
    """Cancelling a call cancels everything it had begun."""

    async def caller(emit: Emit) -> None:
        emit(ev.UserSpoke("hello"))
        await for_ever()

    model, line = ModelThat(for_ever), LineThat(caller)
    driver, call, _ = make_driver(line, model)
    before = asyncio.all_tasks()
    running = asyncio.create_task(driver.run())
    await soon(lambda: call.turn.asking)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert line.closed
    assert model.cancelled == [1]
    assert asyncio.all_tasks() == before


# --- clocks -----------------------------------------------------------------------------------------
async def test_manual_time_stands_still_until_it_is_advanced():
    """A deadline ahead is not met before somebody lets the time pass."""
    clock, queue = ManualClock(), asyncio.Queue[ev.Event]()
    waiting = asyncio.create_task(clock.next(queue, 5.0, thinking=False))
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(4.0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert clock.now() == 4.0
    clock.advance(4.0)
    assert await waiting == ev.Tick()
    assert clock.now() == 5.0


async def test_manual_time_meets_every_deadline_on_the_way_in_order():
    """An hour at once is lived through deadline by deadline."""
    clock, queue = ManualClock(), asyncio.Queue[ev.Event]()
    clock.advance(3600.0)
    met = []
    for deadline in (8.0, 16.0, 24.0):
        assert await clock.next(queue, deadline, thinking=False) == ev.Tick()
        met.append(clock.now())
    assert met == [8.0, 16.0, 24.0]


async def test_what_has_happened_comes_before_any_deadline():
    """An event that waits in the queue is taken before time goes on."""
    clock, queue = ManualClock(), asyncio.Queue[ev.Event]()
    clock.advance(10.0)
    queue.put_nowait(ev.Played(1))
    assert await clock.next(queue, 5.0, thinking=False) == ev.Played(1)
    assert clock.now() == 0.0


async def test_no_manual_time_passes_while_a_model_thinks():
    """A real model answers in real time; on manual time that is no time at all."""
    clock, queue = ManualClock(), asyncio.Queue[ev.Event]()
    clock.advance(10.0)
    waiting = asyncio.create_task(clock.next(queue, 5.0, thinking=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.put_nowait(ev.ReplyDone(1))
    assert await waiting == ev.ReplyDone(1)
    assert clock.now() == 0.0


async def test_real_time_ticks_at_a_deadline_that_has_passed():
    """A deadline in the past is met at once, unless something has happened already."""
    clock, queue = RealClock(), asyncio.Queue[ev.Event]()
    assert await clock.next(queue, clock.now() - 1.0, thinking=False) == ev.Tick()
    queue.put_nowait(ev.Played(1))
    assert await clock.next(queue, clock.now() - 1.0, thinking=False) in (ev.Played(1), ev.Tick())
    queue.put_nowait(ev.Played(2))
    assert isinstance(await clock.next(queue, None, thinking=False), ev.Played)
