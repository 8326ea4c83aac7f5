"""The text line: what is printed counts as heard, and time passes only when the user says so.

It runs under the asyncio driver with a ``ManualClock``. The user's lines are the caller's words, or
commands: ``/silence SECONDS``, ``/interrupt`` (cut the next reply after its first sentence),
``/press KEYS``, ``/hangup``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.driver import Emit, ManualClock
from callbot.rules import KEYS_PAUSE, Rules

HELP = (
    "/silence SECONDS  let time pass without a word\n"
    "/interrupt        cut the next reply after its first sentence\n"
    "/press KEYS       press keys of the phone, for example /press 1\n"
    "/hangup           hang up"
)


class TextScreen(Protocol):
    """Where a text call is shown."""

    def bot_said(self, text: str, speech: ev.SpeechKind) -> None:
        """Show an utterance of the bot."""
        ...

    def hint(self, text: str) -> None:
        """Show help, or what was wrong with a command."""
        ...


ReadLine = Callable[[], Awaitable[str | None]]
"""The user's next line; None at the end of input."""


def _nobody_listens(event: ev.Event) -> None:
    raise RuntimeError(f"{event} before the line runs")


class TextLine:
    """A caller who types."""

    def __init__(self, rules: Rules, clock: ManualClock, screen: TextScreen, read: ReadLine) -> None:
        self._rules, self._clock, self._screen, self._read = rules, clock, screen, read
        self._emit: Emit = _nobody_listens
        self._may_type = asyncio.Event()
        self._armed = self._interrupting = False
        """Whether the next reply is to be cut, and whether this one is."""
        self._speaking = False
        self._callers_turn = False
        self._sentences = 0
        self._withheld: list[ev.Speak] = []

    async def run(self, emit: Emit) -> None:
        """Start the call, then emit what the user types, until the end of input."""
        self._emit = emit
        self._clock.when_settled = self._settled
        if not self._rules.greeting_streamed:
            self._screen.bot_said(self._rules.greeting, ev.SpeechKind.GREETING)
        emit(ev.CallStarted())
        while True:
            await self._may_type.wait()
            self._may_type.clear()
            if self._speaking:
                self._screen.hint("you cut in; type your words, or nothing for a cough")
            line = await self._read()
            if line is None:
                return
            for event in self._events_of(line.strip()):
                emit(event)

    async def perform(self, command: ev.Speak | ev.ClearAudio | ev.HangUp) -> None:
        """Print what is spoken, unless the user has asked to cut in on it."""
        if isinstance(command, ev.ClearAudio):
            self._withheld.clear()
        elif isinstance(command, ev.Speak):
            self._sentences += 1
            if self._withheld or (self._interrupting and self._sentences > 1):
                self._withheld.append(command)
                if len(self._withheld) == 1:
                    self._cut_in()
            else:
                self._say(command)

    def follow(self, call: Call) -> None:
        """Told after each event how the call stands, to know whose turn it is."""
        if self._withheld and call.phase is Phase.FAREWELL:  # a farewell is not cut
            withheld, self._withheld = self._withheld, []
            for command in withheld:
                self._say(command)
        if call.phase is Phase.LINGER and not self._speaking:
            self._clock.advance(self._rules.linger)
        self._callers_turn = call.is_quiet or self._speaking

    def _settled(self) -> None:
        if self._callers_turn:
            self._may_type.set()

    def _say(self, command: ev.Speak) -> None:
        self._screen.bot_said(command.text, command.speech)
        self._emit(ev.Played(command.mark))

    def _cut_in(self) -> None:
        self._interrupting = False
        self._speaking = True
        self._emit(ev.SpeechStarted())

    def _events_of(self, line: str) -> list[ev.Event]:
        command, _, argument = line.partition(" ")
        if self._speaking and line.startswith("/") and command != "/hangup":
            self._screen.hint("you are speaking: type your words, or nothing for a cough, or /hangup")
            self._may_type.set()
            return []
        if self._speaking and command != "/hangup":
            self._speaking = False
            return [ev.UserSpoke(line)]
        self._sentences = 0
        if line and not line.startswith("/"):
            self._interrupting, self._armed = self._armed, False
        if command == "/hangup":
            return [ev.CallerHungUp()]
        if command == "/press" and argument and set(argument) <= set("0123456789*#"):
            self._clock.advance(KEYS_PAUSE)
            return [ev.KeyPressed(key) for key in argument]
        if command == "/silence" and (seconds := _positive(argument)) is not None:
            self._clock.advance(seconds)
            return []
        if command == "/interrupt" and not argument:
            self._armed = True
            self._screen.hint("the next reply will be cut after its first sentence")
        elif line.startswith("/"):
            self._screen.hint(HELP)
        elif line:
            return [ev.SpeechStarted(), ev.UserSpoke(line)]
        self._may_type.set()
        return []


def _positive(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None
