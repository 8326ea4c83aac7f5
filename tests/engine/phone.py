"""A telephone for stories: a carrier that plays in virtual time, and sentences to drive a call with."""

from __future__ import annotations

from typing import Any, TypeVar

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.events import AskModel, BotSaid, CallerSaid, Control, HangUp, Heard
from callbot.rules import Rules, speech_seconds

T = TypeVar("T")


class Phone:
    """One call. Time passes only in ``passes``, ``says`` and ``hears``; deadlines are met on the way.

    ``returns_marks``: whether the carrier says what it played. ``echo``: what it cleared comes back.
    """

    def __init__(self, *, returns_marks: bool = True, echo: bool = True, **rules: Any) -> None:
        self.call = Call(Rules(**{"greeting": "Shalom.", **rules}))
        self.now = 0.0
        self.returns_marks, self.echo = returns_marks, echo
        self.log: list[tuple[float, ev.Command]] = []
        self._air: list[tuple[float, int]] = []

    # --- what can be seen -------------------------------------------------------------------------
    def all(self, kind: type[T]) -> list[T]:
        """Every command of a kind, in order."""
        return [command for _, command in self.log if isinstance(command, kind)]

    @property
    def spoken(self) -> list[str]:
        """Everything handed to the line, in order."""
        return [speak.text for speak in self.all(ev.Speak)]

    @property
    def question(self) -> AskModel:
        """The latest question to the model."""
        return self.all(AskModel)[-1]

    @property
    def hang_up(self) -> HangUp | None:
        """How the bot hung up, if it did."""
        return next(iter(self.all(HangUp)), None)

    @property
    def history(self) -> list[str]:
        """The history as short lines: ``< caller``, ``> bot``, with ``/`` where it was interrupted."""
        return [_line(entry) for entry in self.call.history.entries]

    def notes(self, kind: str) -> list[dict[str, object]]:
        """Data of the engine's notes of a type."""
        return [dict(note.data) for note in self.all(ev.Note) if note.type == kind]

    # --- what can be done -------------------------------------------------------------------------
    def feed(self, *events: ev.Event) -> list[ev.Command]:
        """Feed events now; what the call did about them."""
        done: list[ev.Command] = []
        for event in events:
            for command in self.call.receive(event, self.now):
                self.log.append((self.now, command))
                done.append(command)
                if isinstance(command, ev.Speak):
                    starts = max([self.now, *(ends for ends, _ in self._air)])
                    self._air.append((starts + speech_seconds(command.text), command.mark))
                elif isinstance(command, ev.ClearAudio):
                    cleared, self._air = self._air, []
                    if self.echo:
                        self.feed(*(ev.Played(mark) for _, mark in cleared))
        return done

    def passes(self, seconds: float) -> None:
        """Time passes; audio is played and every deadline is met."""
        until = self.now + seconds
        while self.call.phase is not Phase.OVER:
            deadline = self.call.deadline
            plays = self._air[0][0] if self._air else None
            when = min((t for t in (deadline, plays) if t is not None), default=until)
            if when > until or (deadline is None and plays is None):
                break
            self.now = max(self.now, when)
            if plays is not None and plays <= self.now:
                _, mark = self._air.pop(0)
                if self.returns_marks:
                    self.feed(ev.Played(mark))
            else:
                self.feed(ev.Tick())
        self.now = until

    def starts(self) -> Phone:
        """The call begins and a streamed greeting is heard."""
        self.feed(ev.CallStarted())
        self.hears()
        return self

    def hears(self) -> None:
        """The caller listens until the bot has said all it has to say now."""
        while self._air:
            self.passes(max(0.0, self._air[-1][0] - self.now))

    def says(self, words: str, seconds: float = 0.5) -> None:
        """The caller says something (or makes a noise, without words)."""
        self.feed(ev.SpeechStarted())
        self.passes(seconds)
        self.feed(ev.UserSpoke(words))

    def replies(
        self, *sentences: str, end: str | None = None, status: str = "in_progress", **lead: str
    ) -> None:
        """The model answers the latest question, perhaps asking to end for the reason ``end``."""
        turn = self.question.turn
        self.feed(*(ev.SentenceReady(turn, sentence) for sentence in sentences))
        self.feed(ev.ReplyDone(turn, Control(end is not None, end, status), lead))

    def says_goodbye(self, *sentences: str) -> None:
        """The model answers with a farewell, and its request to end is accepted."""
        self.replies(*sentences, end="customer_declined", status="declined")


def _line(entry: Heard) -> str:
    if isinstance(entry, CallerSaid):
        return f"< {entry.text or entry.keys}"
    assert isinstance(entry, BotSaid)
    return f"> {entry.text}" + ("/" if entry.interrupted else "")
