"""Where a recording puts what the bot said: as near to when the caller heard it as marks can tell."""

from __future__ import annotations

from dataclasses import dataclass, field

from callbot.server.recording import Timeline

FRAME = 160
TRIP = 9 * FRAME
"""From the bot to the carrier and back, 180 ms."""


@dataclass
class Carrier:
    """Plays what it gets, a trip later, and returns marks; ``heard`` is what its caller heard."""

    timeline: Timeline = field(default_factory=Timeline)
    heard: bytearray = field(default_factory=bytearray)
    now: int = 0
    _end: int = 0
    _marks: dict[int, int] = field(default_factory=dict)

    def say(self, mark: int, audio: bytes) -> None:
        """The bot's next sentence."""
        begin = max(self.now + TRIP, self._end)
        self.heard += b"\xff" * (begin - len(self.heard)) + audio
        self._end = begin + len(audio)
        self._marks[mark] = self._end
        for at in range(0, len(audio), 1000):
            self.timeline.sent(audio[at : at + 1000])
        self.timeline.marked(mark, len(audio))

    def clear(self) -> None:
        """The bot's clear."""
        del self.heard[self.now + TRIP :]
        self._end = len(self.heard)
        self._marks.clear()
        self.timeline.cleared()

    def wait(self, frames: int) -> None:
        """The caller's audio arrives, and marks with it."""
        for _ in range(frames):
            self.now += FRAME
            self.timeline.heard(b"\x55" * FRAME)
            for mark in [mark for mark, end in self._marks.items() if end <= self.now]:
                del self._marks[mark]
                self.timeline.played(mark)


def test_what_begins_after_a_mark_has_come_back_stands_where_it_was_heard() -> None:
    """The first sentence stands a trip early; the others in their places, one cut by a clear."""
    carrier = Carrier()
    carrier.wait(10)
    carrier.say(1, b"\x01" * 4000)
    carrier.say(2, b"\x02" * 4000)
    carrier.wait(100)
    carrier.say(3, b"\x03" * 4000)
    carrier.say(4, b"\x04" * 8000)
    carrier.wait(40)
    carrier.clear()
    carrier.wait(20)
    carrier.say(5, b"\x05" * 4000)
    carrier.wait(60)
    taken = carrier.timeline.take(1)
    assert taken is not None
    caller, bot = taken
    assert caller == b"\x55" * carrier.now
    heard = bytes(carrier.heard).ljust(carrier.now, b"\xff")
    first, rest = slice(0, 80 * FRAME), slice(80 * FRAME, None)
    assert bot[first] == heard[TRIP:][first]
    assert bot[rest] == heard[rest]


def test_what_the_carrier_had_not_played_in_the_end_is_left_out() -> None:
    """A farewell that is cut by a hang-up was not heard, and lost marks move nothing."""
    timeline = Timeline()
    timeline.sent(b"\x01" * 8000)
    timeline.broken()
    timeline.heard(b"\x55" * 1600)
    timeline.played(7)
    assert timeline.take(8000) is None
    assert timeline.take(1) == (b"\x55" * 1600, b"\x01" * 1600)
