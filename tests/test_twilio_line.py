"""What the Twilio line does with its audio: in order, ahead, gone at once; and what frames mean."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio_stage import STREAM, Carrier, PlainMouth, ToldEars

from callbot import events as ev
from callbot.lines import twilio_wire as wire
from callbot.lines.twilio import Gone, TwilioLine


class KeepingEars(ToldEars):
    """Ears that keep what they hear."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = b""

    def hear(self, audio: bytes) -> None:
        self.heard += audio


class Stage:
    """A line that runs, and what it has emitted."""

    def __init__(self, mouth: PlainMouth, end_call: Callable[[ev.HangUp], Awaitable[None]] | None = None):
        self.carrier, self.events = Carrier(), []
        self.ended: list[ev.HangUp] = []

        async def end(command: ev.HangUp) -> None:
            self.ended.append(command)

        start = wire.Start(STREAM, "CA1")
        self.ears = KeepingEars()
        self.line = TwilioLine(self.carrier, start, self.ears, mouth, end_call or end, dead_after=0.2)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.line.run(self.events.append))
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def speak(self, *texts: str) -> None:
        for mark, text in enumerate(texts, 1):
            await self.line.perform(ev.Speak(mark, text))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(3.0):
            while not condition():  # noqa: ASYNC110 - anything may make it true
                await asyncio.sleep(0.001)

    def of(self, kind: type) -> list[ev.Event]:
        return [event for event in self.events if isinstance(event, kind)]


async def test_the_next_sentence_is_made_while_the_first_is_sent():
    """And not the third; what is sent keeps its order."""
    mouth = PlainMouth(waits=["One."])
    async with Stage(mouth) as stage:
        await stage.speak("One.", "Two.", "Three.")
        await stage.until(lambda: mouth.asked == ["One.", "Two."] and stage.carrier.frames)
        assert stage.of(ev.AudioQueued) == []
        mouth.go.set()
        await stage.until(lambda: len(stage.of(ev.Played)) == 3)
        assert [event.mark for event in stage.of(ev.Played)] == [1, 2, 3]
        assert stage.carrier.audio() == [event.seconds for event in stage.of(ev.AudioQueued)]


async def test_a_clear_silences_at_once_and_abandons_what_is_being_made():
    """Nothing of the cut sentences is sent behind it; what is said next is."""
    mouth = PlainMouth(waits=["One."])
    async with Stage(mouth) as stage:
        await stage.speak("One.", "Two.")
        await stage.until(lambda: stage.carrier.frames)
        await stage.line.perform(ev.ClearAudio())
        await stage.until(lambda: stage.carrier.frames[-1]["event"] == "clear")
        assert mouth.abandoned == ["One."]
        mouth.go.set()
        await stage.line.perform(ev.Speak(3, "Yes?"))
        await stage.until(lambda: stage.of(ev.Played))
        assert [event.mark for event in stage.of(ev.Played)] == [3]
        marks = [frame["mark"]["name"] for frame in stage.carrier.frames if frame["event"] == "mark"]
        assert marks == ["3"]


async def test_a_clear_overtakes_what_waits_for_a_slow_socket():
    """At most the frame that is being sent comes before it."""
    async with Stage(PlainMouth()) as stage:
        stage.carrier.takes.clear()
        await stage.speak("One sentence that takes many frames. " * 9)
        await stage.until(lambda: stage.of(ev.AudioQueued))
        await stage.line.perform(ev.ClearAudio())
        stage.carrier.takes.set()
        await stage.until(lambda: stage.carrier.frames and stage.carrier.frames[-1]["event"] == "clear")
        assert [frame["event"] for frame in stage.carrier.frames] == ["media", "clear"]


async def test_a_voice_that_fails_costs_its_sentence_only():
    """The call is told, and the next sentence is heard."""
    async with Stage(PlainMouth(fails=["One."])) as stage:
        await stage.speak("One.", "Two.")
        await stage.until(lambda: stage.of(ev.Played))
        assert [event.mark for event in stage.of(ev.VoiceFailed)] == [1]
        assert [event.mark for event in stage.of(ev.Played)] == [2]


async def test_hanging_up_happens_once_and_then_the_socket_is_closed():
    """However often it is performed, and although the carrier cannot be told."""
    told = []

    async def fails(command: ev.HangUp) -> None:
        told.append(command)
        raise OSError("no network")

    async with Stage(PlainMouth(), fails) as stage:
        for _ in range(3):
            await stage.line.perform(ev.HangUp(ev.EndedBy.MODEL, "lead_complete"))
        await stage.line.close()
    assert len(told) == 1
    assert stage.carrier.closed_with == 1000
    assert stage.line.gone.result() is Gone.CLOSED


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda carrier: carrier.say("stop"), Gone.STOPPED),
        (lambda carrier: carrier._to_bot.put_nowait(None), Gone.LOST),
        (lambda carrier: None, Gone.DEAD),
        (lambda carrier: [carrier.say("media") for _ in range(10)], Gone.LOST),
    ],
)
async def test_why_nothing_more_comes(act: Callable[[Carrier], None], why: Gone):
    """The carrier said so, the socket broke, nobody is there, or it sent too much that means nothing."""
    async with Stage(PlainMouth()) as stage:
        act(stage.carrier)
        async with asyncio.timeout(3.0):
            assert await asyncio.shield(stage.line.gone) is why


async def test_frames_doubled_missing_or_out_of_order_are_counted_and_the_line_goes_on():
    """A doubled frame is heard once; what is late is heard late, what is missing is missing."""
    async with Stage(PlainMouth()) as stage:
        for sequence, chunk, letter in (
            (1, 1, "a"),
            (2, 2, "b"),
            (2, 2, "b"),
            (5, 5, "e"),
            (4, 4, "d"),
            (6, 6, "f"),
        ):
            media = {"chunk": str(chunk), "timestamp": str(20 * chunk), "payload": f"{letter * 4}"}
            stage.carrier.say("media", sequenceNumber=str(sequence), media=media)
        await stage.until(lambda: len(stage.ears.heard) == 15)
        assert base64.b64encode(stage.ears.heard) == b"aaaabbbbeeeeddddffff"
        assert stage.line.counts == {"duplicate": 1, "gap": 1, "out_of_order": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["event", "streamSid", "media", "mark", "dtmf", "start", "payload", "track", "name", "digit", "text"]
)
EVENTS = st.sampled_from(["media", "mark", "dtmf", "start", "stop", "connected", wire.ORACLE_EVENT])


@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)), EVENTS | JSON)
def test_no_frame_breaks_the_reader(message: dict[str, object], event: object):
    """Whatever arrives is read, ignored or bad."""
    assert isinstance(wire.read_message(json.dumps({**message, "event": event})), wire.Message)


@given(st.text(st.characters(exclude_categories=())) | st.binary())
def test_no_text_breaks_the_reader(frame: str | bytes):
    """JSON or not, UTF-8 or not."""
    assert isinstance(wire.read_message(frame), wire.Message)


@given(st.binary(), st.text())
def test_frames_are_read_as_they_are_written(audio: bytes, name: str):
    """Both ways in the same shape."""
    message = wire.read_message(wire.media_frame(STREAM, audio))
    assert isinstance(message, wire.Media)
    assert (message.stream_sid, message.audio) == (STREAM, audio)
    assert wire.read_message(wire.mark_frame(STREAM, name)) == wire.Mark(STREAM, name)
    assert wire.read_message(wire.clear_frame(STREAM)) == wire.Ignored("clear")
