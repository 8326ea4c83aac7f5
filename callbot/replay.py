"""The virtual-time driver: a whole call in the time its model takes, an hour of silence in none.

It obeys the driver contract of ``call.py`` with a simulated carrier (audio lasts
``speech_seconds``; a clear returns every outstanding mark, as Twilio does) and a simulated caller.
Answers of the model are waited for in real time and take their measured latency in virtual time.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.record import Record
from callbot.respond import Answer
from callbot.rules import speech_seconds

SPEECH_SIGN_EVERY = 2.0
"""Seconds between two signs of open speech (driver contract, point 6)."""
KEY_PAUSE = 0.3
"""Seconds between two keys."""

Ask = Callable[[ev.AskModel], AsyncGenerator[tuple[float, Answer], None]]
"""Puts a question to the model; yields (seconds since asked, answer)."""


class ProviderFailed(Exception):
    """The provider failed; a simulated call stops there, for evaluation has no fallback."""


# --- what a simulated caller does; ``after``: seconds of thought before it -----------------------
@dataclass(frozen=True, slots=True)
class Says:
    """Words. ``heard``: what recognition makes of them; ``over``: what they are said over on purpose."""

    words: str
    heard: str
    after: float = 0.0
    over: str | None = None


@dataclass(frozen=True, slots=True)
class MakesNoise:
    """Sound without words."""

    seconds: float
    over: str | None = None


@dataclass(frozen=True, slots=True)
class Presses:
    """Keys of the caller's phone."""

    keys: str
    over: str | None = None


@dataclass(frozen=True, slots=True)
class KeepsSilent:
    """Nothing, for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangsUp:
    """Leaves the call."""

    after: float = 0.0


Act = Says | MakesNoise | Presses | KeepsSilent | HangsUp


@dataclass(slots=True)
class Scene:
    """What a simulated caller perceives. Times in virtual seconds."""

    call: Call
    now: float = 0.0
    greeting_playing: bool = False
    """The carrier or the call is playing the greeting."""
    bot_started: float | None = None
    """When the bot began to speak after the caller's last action, fillers aside; None while it has not."""
    phase_since: float = 0.0
    """When the call's phase last changed."""
    said: list[str] = field(default_factory=list)
    """Everything the bot has said or begun to say, in order, the greeting too, fillers aside."""
    busy_until: float = 0.0
    """When what the caller is doing now is over."""


class SimulatedCaller(Protocol):
    """Somebody on the other end. Whoever runs the call asks again after everything that happens.

    What an act takes (words as long as they are spoken) is set as ``scene.busy_until`` by whoever
    runs the call, for only they know how the caller speaks.
    """

    def due(self, scene: Scene) -> float | None:
        """When the caller acts next as things stand (now or later); None while waiting or done."""
        ...

    async def act(self, scene: Scene, record: Record) -> Act | None:
        """Act, or give up and do nothing. Turns and milestones go to the record as notes.

        What is waited for here takes no virtual time but the ``after`` of the act.
        """
        ...

    def is_done(self, scene: Scene) -> bool:
        """Whether the simulation may stop here, before the call has ended."""
        ...

    def call_ended(self, scene: Scene, record: Record) -> None:
        """The call is over, whatever the caller still had in mind."""
        ...


class VirtualDriver:
    """Runs one call with a simulated caller on virtual time."""

    def __init__(self, call: Call, caller: SimulatedCaller, ask: Ask, record: Record) -> None:
        self._call, self._caller, self._ask, self._record = call, caller, ask, record
        self._scene = Scene(call)
        self._agenda: list[tuple[float, int, ev.Event | ev.Note]] = []
        self._order = itertools.count()
        self._deadline: float | None = None
        """The call's, as of the last event."""
        self._audio_ends = 0.0
        self._on_air: dict[int, float] = {}
        """Marks of the carrier's buffer and when each will have been played."""
        self._cancelled: set[int] = set()

    async def run(self) -> None:
        """Run to the end of the call, or until the caller has nothing left to do.

        Raises ProviderFailed; the record then holds everything up to it.
        """
        call, scene, caller = self._call, self._scene, self._caller
        scene.greeting_playing = True
        starts = 0.0
        if not call.rules.greeting_streamed:
            starts = speech_seconds(call.rules.greeting)
            scene.said.append(call.rules.greeting)
        self._later(starts, ev.CallStarted())
        while call.phase is not Phase.OVER:
            if not self._agenda and caller.is_done(scene):
                return
            phase = call.phase
            await self._step()
            if call.phase is not phase:
                scene.phase_since = scene.now
                scene.greeting_playing = call.phase is Phase.GREETING
        caller.call_ended(scene, self._record)

    async def _step(self) -> None:
        scene = self._scene
        agenda = self._agenda[0][0] if self._agenda else None
        deadline = self._deadline
        if agenda is not None and agenda <= scene.now and (deadline is None or agenda <= deadline):
            await self._happen(heapq.heappop(self._agenda)[2])  # nothing can come before it
            return
        due = self._caller.due(scene)
        waits = [t for t in (agenda, deadline, due) if t is not None]
        if scene.busy_until > scene.now:
            waits.append(scene.busy_until)
        when = min(waits)
        scene.now = max(scene.now, when)
        if agenda == when:
            await self._happen(heapq.heappop(self._agenda)[2])
        elif deadline == when:
            await self._happen(ev.Tick())
        elif due == when:
            await self._let_caller_act()

    async def _let_caller_act(self) -> None:
        scene = self._scene
        scene.bot_started = None
        act = await self._caller.act(scene, self._record)
        if act is None:
            return
        after = act.after if isinstance(act, Says | HangsUp) else 0.0
        for delay, event in _events(act):
            self._later(scene.now + (after + delay), event)
        scene.busy_until = scene.now + after + _lasts(act)

    async def _happen(self, event: ev.Event | ev.Note) -> None:
        now = self._scene.now
        if isinstance(event, ev.Note):
            self._record.note(now, event.type, **event.data)
            return
        kind = type(event)
        if kind is ev.Played:
            self._on_air.pop(event.mark, None)  # type: ignore[union-attr]
        elif kind in _ANSWERS and event.turn in self._cancelled:  # type: ignore[union-attr]
            return
        self._record.event(now, event)
        failure: ev.Note | None = None
        for command in self._call.receive(event, now):
            self._record.command(now, command)
            if type(command) is ev.Note:
                failure = command if command.type == "reply_failed" else failure
            else:
                await self._obey(command)
        self._deadline = self._call.deadline
        if failure is not None:  # reported by the provider, or the turn's deadline passed first
            raise ProviderFailed(str(failure.data["error"]))

    async def _obey(self, command: ev.Command) -> None:
        now = self._scene.now
        if isinstance(command, ev.Speak):
            self._speak(command)
        elif isinstance(command, ev.ClearAudio):
            self._clear()
        elif isinstance(command, ev.AskModel):
            async for seconds, answer in self._ask(command):
                self._later(now + seconds, answer)
        elif isinstance(command, ev.CancelModel):
            self._cancelled.add(command.turn)

    def _speak(self, command: ev.Speak) -> None:
        starts = max(self._scene.now, self._audio_ends)
        self._audio_ends = starts + speech_seconds(command.text)
        self._on_air[command.mark] = self._audio_ends
        self._later(self._audio_ends, ev.Played(command.mark))
        if command.speech is not ev.SpeechKind.FILLER:
            self._scene.said.append(command.text)
            if self._scene.bot_started is None:
                self._scene.bot_started = starts

    def _clear(self) -> None:
        """Empty the carrier's buffer; the marks of what was dropped come back at once."""
        now = self._scene.now
        self._agenda = [item for item in self._agenda if not isinstance(item[2], ev.Played)]
        heapq.heapify(self._agenda)
        for mark in self._on_air:
            self._later(now, ev.Played(mark))
        self._on_air.clear()
        self._audio_ends = now

    def _later(self, when: float, event: ev.Event | ev.Note) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), event))


_ANSWERS = frozenset({ev.SentenceReady, ev.ReplyDone, ev.ReplyFailed})


def _lasts(act: Act) -> float:
    """Seconds that an act takes in text."""
    if isinstance(act, Says):
        return speech_seconds(act.words)
    if isinstance(act, Presses):
        return (len(act.keys) - 1) * KEY_PAUSE
    return 0.0 if isinstance(act, HangsUp) else act.seconds


def _events(act: Act) -> Iterator[tuple[float, ev.Event]]:
    """What a line tells the call of an act, with its delay in seconds."""
    if isinstance(act, Says):
        yield from _speech(_lasts(act), act.heard)
    elif isinstance(act, MakesNoise):
        yield from _speech(act.seconds, "")
    elif isinstance(act, Presses):
        for index, key in enumerate(act.keys):
            yield index * KEY_PAUSE, ev.KeyPressed(key)
    elif isinstance(act, HangsUp):
        yield 0.0, ev.CallerHungUp()


def _speech(seconds: float, words: str) -> Iterator[tuple[float, ev.Event]]:
    """What a line tells the call while somebody speaks for so long; without ``words``, it is a noise."""
    yield 0.0, ev.SpeechStarted()
    sign = SPEECH_SIGN_EVERY
    while sign < seconds:
        yield sign, ev.SpeechContinues()
        sign += SPEECH_SIGN_EVERY
    yield seconds, ev.UserSpoke(words)
