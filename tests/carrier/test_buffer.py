"""Twilio's playback buffer: in order, marks when played, all marks on clear, ten minutes at most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from callbot.carrier.buffer import LIMIT, PlaybackBuffer


class Books(RuleBasedStateMachine):
    """Whatever a bot sends and whenever it is played, this much is owed to both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = PlaybackBuffer()
        self.sent = self.heard = b""
        self.waiting: list[tuple[int, str]] = []
        """Marks not returned, each with how much must have been heard first."""
        self.names = 0
        self.next_byte = 0

    @rule(size=st.integers(0, 700))
    def media(self, size):
        audio = bytes((self.next_byte + n) % 251 for n in range(size))
        self.next_byte += size
        assert self.buffer.push(audio)
        self.sent += audio

    @rule()
    def mark(self):
        self.names += 1
        self.buffer.mark(str(self.names))
        self.waiting.append((len(self.sent), str(self.names)))

    @rule(size=st.sampled_from([1, 160, 161, 1000]))
    def play(self, size):
        audio = self.buffer.pull(size)
        assert audio == self.sent[len(self.heard) :][:size]
        self.heard += audio

    @rule()
    def tell(self):
        due = [name for at, name in self.waiting if at <= len(self.heard)]
        assert self.buffer.reached() == due
        self.waiting = self.waiting[len(due) :]

    @rule()
    def clear(self):
        dropped, marks = self.buffer.clear()
        assert dropped == len(self.sent) - len(self.heard)
        assert marks == [name for _, name in self.waiting]
        self.sent, self.waiting = self.heard, []

    @invariant()
    def size_is_what_was_not_heard(self):
        assert self.buffer.size == len(self.sent) - len(self.heard)


TestBooks = Books.TestCase


def test_a_mark_behind_nothing_is_returned_at_once():
    """There is no audio to wait for."""
    buffer = PlaybackBuffer()
    buffer.mark("now")
    assert buffer.reached() == ["now"]
    assert buffer.reached() == []


@given(st.integers(1, 500))
def test_more_than_ten_minutes_are_dropped(over):
    """And what fits afterwards is taken."""
    buffer = PlaybackBuffer()
    assert buffer.push(bytes(LIMIT - 100))
    assert buffer.push(bytes(over)) == (over <= 100)
    assert buffer.push(b"") is True
    assert buffer.size == LIMIT - 100 + (over if over <= 100 else 0)
