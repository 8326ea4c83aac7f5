"""What was on the line: both directions, sample by sample from the answer on, and what happened when.

All times are samples (8,000 a second) since the call was answered, as heard at the caller's ear.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from callbot.carrier.g711 import FRAME, RATE, SILENCE

Who = Literal["bot", "caller", "carrier"]


def milliseconds(samples: int) -> int:
    """Samples as milliseconds."""
    return round(samples * 1000 / RATE)


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened. ``code``: Twilio's number of an error or a warning."""

    at: int
    who: Who
    what: str
    detail: str = ""
    code: int | None = None


@dataclass(slots=True)
class CallerAct:
    """One turn of the caller's, from its first to its last sample."""

    turn: int
    """Counted from 1."""
    kind: str
    """``say``, ``silence``, ``press``, ``noise`` or ``hang_up``."""
    text: str
    start: int
    end: int
    over: str | None = None
    """``barge_in`` or a cue (``greeting``, ``farewell``, ``linger``): spoken over the bot on purpose."""


@dataclass(slots=True)
class Tape:
    """The recording of one call, and its log."""

    caller: bytearray = field(default_factory=bytearray)
    bot: bytearray = field(default_factory=bytearray)
    supplied: list[tuple[int, int, int]] = field(default_factory=list)
    """First and last sample of stretches in which there was something of the bot's to play, silence
    included, and which of the files and streams so far it came from."""
    cleared: list[int] = field(default_factory=list)
    """When the bot cleared audio that was still to be played."""
    unheard: int = 0
    """Samples of the bot's that were still to be played when the call ended."""
    played: list[bytes] = field(default_factory=list)
    """Files that ``<Play>`` played, in order."""
    acts: list[CallerAct] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)

    @property
    def now(self) -> int:
        """Samples since the answer."""
        return len(self.bot)

    def add(self, caller: bytes, bot: bytes, source: int) -> None:
        """One frame of 20 ms: the caller's, and as much of the bot's as a source had."""
        if bot:
            start, end = self.now, self.now + len(bot)
            if self.supplied and self.supplied[-1][1:] == (start, source):
                start = self.supplied.pop()[0]
            self.supplied.append((start, end, source))
        self.caller += caller
        self.bot += bot.ljust(FRAME, bytes([SILENCE]))

    def log(self, who: Who, what: str, detail: str = "", code: int | None = None) -> None:
        """Note what happens now."""
        self.happened.append(Happened(self.now, who, what, detail, code))

    def count(self, what: str, who: Who | None = None) -> int:
        """How often something happened."""
        return sum(each.what == what and who in (None, each.who) for each in self.happened)
