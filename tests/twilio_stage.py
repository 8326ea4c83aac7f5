"""The Twilio line in process and on manual time: a carrier that returns marks, ears that are told words."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.driver import Dialogue, Driver, ManualClock
from callbot.events import SpeechKind
from callbot.lines.twilio import TwilioLine
from callbot.lines.twilio_wire import ORACLE_EVENT, Start
from callbot.record import Record
from callbot.rules import KEYS_PAUSE, speech_seconds
from callbot.sound import PHONE

STREAM = "MZ1"
STEP_SECONDS = 0.5
"""Of a silence: what falls due in it is done before time goes on."""


class ToldEars:
    """Ears that are told what is said; empty words are a noise."""

    def __init__(self) -> None:
        self._emit: Callable[[ev.Event], None] = lambda event: None

    def start(self, emit: Callable[[ev.Event], None]) -> None:
        self._emit = emit

    def oracle(self, text: str) -> None:
        self._emit(ev.SpeechStarted())
        self._emit(ev.UserSpoke(text))

    def hear(self, audio: bytes) -> None: ...

    def bot_plays(self, audio: bytes) -> None: ...

    def bot_silenced(self) -> None: ...

    def expect(self, field_type: str) -> None: ...

    async def close(self) -> None: ...


class PlainMouth:
    """A voice of silence, as long as words would be.

    ``fails``: texts that break off in the middle; ``waits``: texts whose second half is not to be
    had before ``go`` is set. ``asked``: texts in the order in which their audio was wanted.
    """

    def __init__(self, fails: Sequence[str] = (), waits: Sequence[str] = ()) -> None:
        self._fails, self._waits = fails, waits
        self.go = asyncio.Event()
        self.asked: list[str] = []
        self.abandoned: list[str] = []

    async def say(self, text: str, speech: SpeechKind) -> AsyncGenerator[bytes, None]:
        self.asked.append(text)
        half = b"\xff" * int(speech_seconds(text) * PHONE.rate / 2)
        yield half
        if text in self._fails:
            raise OSError("no voice")
        if text in self._waits:
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.abandoned.append(text)
                raise
        yield half


class Carrier:
    """The carrier's end of the socket. It plays in no time, unless ``hold`` says where to stop."""

    def __init__(self) -> None:
        self._to_bot: asyncio.Queue[str | None] = asyncio.Queue()
        self.hold: int | None = None
        """So many sentences of the next reply are heard; the others wait for a clear."""
        self.held: list[str] = []
        self.takes = asyncio.Event()
        """Cleared: the socket is full, and sending waits."""
        self.takes.set()
        self.returned_unheard: set[int] = set()
        """Marks that a clear has returned."""
        self.frames: list[dict[str, Any]] = []
        self.closed_with: int | None = None

    async def receive(self) -> str | None:
        return await self._to_bot.get()

    async def send(self, frame: str) -> None:
        await self.takes.wait()
        message = json.loads(frame)
        self.frames.append(message)
        if message["event"] == "clear":
            self.hold = None
            for name in self.held:
                self.returned_unheard.add(int(name))
                self.say("mark", mark={"name": name})
            self.held.clear()
        elif message["event"] == "mark":
            if self.hold == 0:
                self.held.append(message["mark"]["name"])
            else:
                self.hold = None if self.hold is None else self.hold - 1
                self.say("mark", mark=message["mark"])

    async def close(self, code: int, reason: str) -> None:
        self.closed_with = code if self.closed_with is None else self.closed_with
        self._to_bot.put_nowait(None)

    def say(self, event: str, **more: Any) -> None:
        """A message to the bot."""
        self._to_bot.put_nowait(json.dumps({"event": event, "streamSid": STREAM, **more}))

    def audio(self) -> list[float]:
        """Seconds of each utterance that a mark has closed."""
        lengths = [0]
        for message in self.frames:
            if message["event"] == "media":
                lengths[-1] += len(base64.b64decode(message["media"]["payload"]))
            elif message["event"] == "mark":
                lengths.append(0)
        return [PHONE.seconds(length) for length in lengths[:-1]]


async def hold_call(
    call: Call, dialogue: Dialogue, record: Record, turns: Sequence[dict[str, Any]]
) -> tuple[Carrier, list[ev.HangUp]]:
    """Hold a call whose caller takes these turns (as a scenario writes them)."""
    clock, carrier, ears, hang_ups = ManualClock(), Carrier(), ToldEars(), []

    async def end_call(command: ev.HangUp) -> None:
        hang_ups.append(command)

    line = TwilioLine(
        carrier,
        Start(STREAM, "CA1"),
        ears,
        PlainMouth(),
        end_call,
        on_oracle=ears.oracle,
    )
    driver = Driver(call, line, dialogue, record, clock=clock)
    driving = asyncio.create_task(driver.run())
    acting = asyncio.create_task(_act(call, clock, carrier, turns))
    async with asyncio.timeout(10.0):
        await driving
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        await line.close()
    return carrier, hang_ups


async def _act(call: Call, clock: ManualClock, carrier: Carrier, turns: Sequence[dict[str, Any]]) -> None:
    async def callers_turn() -> None:
        while not (call.is_quiet or carrier.held):
            if call.phase is Phase.LINGER:
                clock.advance(call.rules.linger)
            await asyncio.sleep(0.001)

    for turn, following in zip(turns, [*turns[1:], {}], strict=True):
        await callers_turn()
        if "barge_in" in following:
            carrier.hold = 1
        match turn:
            case {"say": words}:
                carrier.say(ORACLE_EVENT, text=words)
            case {"noise": _}:
                carrier.say(ORACLE_EVENT, text="")
            case {"press": keys}:
                for key in keys:
                    carrier.say("dtmf", dtmf={"digit": key})
                await asyncio.sleep(0.01)
                clock.advance(KEYS_PAUSE)
            case {"silence": seconds}:
                for _ in range(round(seconds / STEP_SECONDS)):
                    clock.advance(STEP_SECONDS)
                    await asyncio.sleep(0.001)
                    await callers_turn()
            case {"hang_up": True}:
                carrier.say("stop")
        await asyncio.sleep(0.01)
    while True:
        await callers_turn()
        await asyncio.sleep(0.001)
