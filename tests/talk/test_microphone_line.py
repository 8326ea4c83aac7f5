"""The microphone line, block by block: who is heard when, and what becomes of a card that goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import numpy as np
import pytest
from microphone_stage import CARD, PumpedCard

from callbot import events as ev
from callbot.certificate import CARRIER_PLAYED, greeting_certificate
from callbot.events import SpeechKind
from callbot.lines.microphone import Exchange, MicrophoneLine, RecordedCaller
from callbot.record import Record, header
from callbot.rules import Rules
from callbot.sound import AudioFormat, SpeechFailed
from callbot.speech.audio import Converter

BLOCKS_A_SECOND = 50
TONE = (np.sin(np.arange(160) * 0.5) * 32767).astype("<i2")


def loud(decibels: float) -> bytes:
    """A block of a tone, in decibels of full scale (root mean square)."""
    return (TONE * np.sqrt(2) * 10 ** (decibels / 20) * 0.99).clip(-32768, 32767).astype("<i2").tobytes()


class Card(PumpedCard):
    """A card whose microphone hears what it is given."""

    hears = True

    def start(self, exchange: Exchange, gone: Callable[[], None]) -> None:
        self.exchange, self.gone = exchange, gone

    async def hear(self, block: bytes = bytes(320), blocks: int = 1, slips: tuple[str, ...] = ()) -> bytes:
        """So many blocks pass; what was played in them."""
        played = b""
        for _ in range(blocks):
            played += self.exchange(block, slips)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return played


class Ears:
    """Ears that keep what they are given."""

    def __init__(self) -> None:
        self.heard = b""

    def start(self, emit: Callable[[ev.Event], None]) -> None: ...

    def hear(self, audio: bytes) -> None:
        self.heard += audio

    def bot_plays(self, audio: bytes) -> None: ...

    def bot_silenced(self) -> None: ...

    def expect(self, field_type: str) -> None: ...

    async def close(self) -> None: ...


class Mouth:
    """A second of sound for every text, unless it is to fail, or to wait for ``go`` in its middle."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def say(self, text: str, speech: SpeechKind) -> AsyncGenerator[bytes, None]:
        if text == "loud":
            yield loud(-20) * BLOCKS_A_SECOND
            return
        if text == "fail":
            raise SpeechFailed("no voice today")
        if text == "slow":
            yield b"\x01\x02" * (CARD.rate // 2)
            await self.go.wait()
            yield b"\x01\x02" * (CARD.rate // 2)
            return
        yield b"\x01\x02" * CARD.rate


class Stage:
    """A line that runs, and everything that came of it."""

    def __init__(self, rate: int = CARD.rate, **more: object) -> None:
        self.card, self.ears, self.mouth = Card(), Ears(), Mouth()
        self.card.format = AudioFormat("pcm16", rate)
        self.events: list[ev.Event] = []
        self.notes: list[ev.Note] = []
        self.line = MicrophoneLine(
            self.card, self.ears, self.mouth, CARD, Converter, note=self.notes.append, **more
        )  # type: ignore[arg-type]
        self.running = asyncio.create_task(self.line.run(self.events.append))

    async def open(self) -> None:
        """The card has settled and, without a greeting to play, the call has started."""
        await asyncio.sleep(0)
        await self.card.hear(blocks=11)
        await asyncio.sleep(0.001)

    async def speak(self, text: str, mark: int = 1) -> None:
        await self.line.perform(ev.Speak(mark, text))
        for _ in range(10):
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def stage(**more: object) -> AsyncGenerator[Stage, None]:
    """A line that is open."""
    there = Stage(**more)
    try:
        await there.open()
        yield there
    finally:
        there.running.cancel()
        await asyncio.gather(there.running, return_exceptions=True)
        await there.line.close()


async def test_an_utterance_is_played_whole_and_counts_once_the_card_has_played_it():
    """Its mark comes after its last sample and the card's latency, not before."""
    async with stage() as there:
        assert there.events == [ev.CallStarted()]
        await there.speak("one")
        played = await there.card.hear(blocks=50)
        assert played == b"\x01\x02" * CARD.rate
        await there.card.hear()
        assert ev.Played(1) not in there.events
        await there.card.hear()
        assert there.events == [ev.CallStarted(), ev.AudioQueued(1, 1.0), ev.Played(1)]


async def test_a_clear_silences_from_the_next_block_on_and_its_marks_never_come():
    """What was queued behind it as well; speech after it is played."""
    async with stage() as there:
        await there.speak("one", 1)
        await there.speak("two", 2)
        await there.card.hear(blocks=5)
        await there.line.perform(ev.ClearAudio())
        assert not any(await there.card.hear(blocks=120))
        await there.speak("three", 3)
        await there.card.hear(blocks=60)
        assert [event for event in there.events if isinstance(event, ev.Played)] == [ev.Played(3)]


async def test_a_voice_that_is_cleared_while_it_is_made_says_no_more():
    """Neither the half that is queued nor the one that would have come; the next sentence is whole."""
    async with stage() as there:
        await there.speak("slow", 1)
        await there.card.hear(blocks=5)
        await there.line.perform(ev.ClearAudio())
        there.mouth.go.set()
        assert not any(await there.card.hear(blocks=60))
        await there.speak("two", 2)
        assert (await there.card.hear(blocks=53)).strip(b"\0") == b"\x01\x02" * CARD.rate
        assert [event for event in there.events if isinstance(event, ev.Played)] == [ev.Played(2)]


async def test_a_voice_slower_than_its_speech_leaves_a_gap_that_is_counted():
    """Once, however long it is; the utterance is whole in the end."""
    async with stage() as there:
        await there.speak("slow")
        await there.card.hear(blocks=40)
        there.mouth.go.set()
        await asyncio.sleep(0.001)
        await there.card.hear(blocks=30)
        assert there.line.counts["voice_gap"] == 1
        assert ev.Played(1) in there.events


async def test_a_card_with_a_rate_of_its_own_plays_all_of_an_utterance():
    """Resampled to its last sample."""
    async with stage(rate=12_000) as there:
        await there.speak("one")
        played = await there.card.hear(blocks=80)
        assert len(played.strip(b"\0")) == pytest.approx(2 * 12_000, rel=0.002)
        assert ev.AudioQueued(1, 1.0) in there.events


async def test_a_voice_that_fails_is_said_and_the_next_sentence_is_spoken():
    """VoiceFailed with its reason."""
    async with stage() as there:
        await there.speak("fail", 1)
        await there.speak("two", 2)
        await there.card.hear(blocks=60)
        assert ev.VoiceFailed(1, "SpeechFailed: no voice today") in there.events
        assert ev.Played(2) in there.events


async def test_what_is_said_over_a_played_greeting_reaches_nobody():
    """Rule 1; the microphone is open all the while, and the greeting is noted with its length."""
    async with stage(greeting=b"\x03\x04" * CARD.rate) as there:
        assert there.events == []
        await there.card.hear(loud(-12), 53)
        await asyncio.sleep(0.001)
        assert there.events == [ev.CallStarted()]
        assert there.ears.heard == b""
        await there.card.hear(loud(-12), 2)
        assert there.ears.heard == loud(-12) * 2
        (note,) = [note for note in there.notes if note.type == CARRIER_PLAYED]
        assert note.data["seconds"] == 1.0
        assert note.data["elapsed"] == pytest.approx(1.06, abs=0.03)
        assert note.data["underruns"] == 0


async def test_a_card_that_runs_dry_in_the_greeting_fails_its_certificate():
    """It was not heard whole; the first slip of a kind is a note, all are counted."""
    async with stage(greeting=b"\x03\x04" * CARD.rate) as there:
        await there.card.hear(blocks=10)
        await there.card.hear(blocks=2, slips=("output_underflow",))
        await there.card.hear(blocks=45)
        await asyncio.sleep(0.001)
        record = Record(header(call_id="talk", rules=Rules(greeting="Hello"), line="microphone"))
        for note in there.notes:
            record.note(1.0, note.type, **note.data)
        record.event(1.0, ev.CallStarted())
        assert there.line.counts["output_underflow"] == 2
        assert [note.type for note in there.notes].count("device_slipped") == 1
    assert str(greeting_certificate(record)) == "fail (play): the sound card ran dry 2 times during it"


async def test_on_loudspeakers_only_what_is_louder_than_the_bots_echo_is_heard_while_it_speaks():
    """The greeting tells how loud that is; once the room is quiet again any voice is heard."""
    greeting = loud(-20) * 150
    async with stage(half_duplex=True, greeting=greeting) as there:
        await there.card.hear(loud(-38), 160)
        await asyncio.sleep(0.001)
        assert there.events == [ev.CallStarted()]
        await there.speak("loud")
        await there.card.hear()
        there.ears.heard = b""
        await there.card.hear(loud(-36), 20)
        assert not any(there.ears.heard), "its echo, a little louder than before"
        await there.card.hear(loud(-28), 5)
        assert there.ears.heard.endswith(loud(-28) * 5)
        await there.card.hear(blocks=50)
        there.ears.heard = b""
        await there.card.hear(loud(-50), 5)
        assert there.ears.heard.endswith(loud(-50) * 5)


async def test_a_muted_microphone_is_silent():
    """And heard again afterwards."""
    async with stage() as there:
        there.ears.heard = b""
        there.line.muted = True
        await there.card.hear(loud(-12), 3)
        assert there.ears.heard == bytes(3 * 320)
        there.line.muted = False
        await there.card.hear(loud(-12))
        assert there.ears.heard.endswith(loud(-12))


async def test_a_microphone_that_gives_nothing_is_told_of_once_and_a_quiet_one_never():
    """Three seconds of digital silence; a single sample of noise is somebody's room."""
    async with stage() as silent, stage() as quiet:
        await quiet.card.hear(b"\x01\x00" + bytes(318))
        for one in (silent, quiet):
            await one.card.hear(blocks=400)
        assert [note.type for note in silent.notes] == ["microphone_silent"]
        assert quiet.notes == []


async def test_a_recorded_caller_begins_with_the_call_or_with_the_line():
    """And silence follows."""
    late, early = RecordedCaller(loud(-12) * 2), RecordedCaller(loud(-12) * 12, from_opening=True)
    async with stage(recorded=late) as one, stage(recorded=early) as other:
        for there in (one, other):
            there.ears.heard = b""
            await there.card.hear(blocks=5)
        assert one.ears.heard == loud(-12) * 2 + bytes(3 * 320)
        assert other.ears.heard == loud(-12) + bytes(4 * 320), "eleven blocks were over when the call began"


async def test_who_leaves_politely_hears_the_sentence_on_the_air_and_no_other():
    """Its mark comes back, then the line ends: the driver takes that for a hang-up."""
    async with stage() as there:
        await there.speak("one", 1)
        await there.speak("two", 2)
        await there.card.hear(blocks=5)
        there.line.leave()
        await there.card.hear(blocks=60)
        await asyncio.wait_for(there.running, 1)
        assert [event for event in there.events if isinstance(event, ev.Played)] == [ev.Played(1)]


async def test_who_leaves_while_nobody_speaks_or_at_once_is_gone():
    """No sentence to wait for, or no wish to."""
    async with stage() as quiet, stage() as busy:
        quiet.line.leave()
        await asyncio.wait_for(quiet.running, 1)
        await busy.speak("one")
        busy.line.leave(at_once=True)
        await asyncio.wait_for(busy.running, 1)
        assert not any(isinstance(event, ev.Played) for event in busy.events)


async def test_a_card_that_stops_ends_the_line_and_says_so():
    """Whether before the call or in it."""
    for blocks in (0, 20):
        there = Stage(greeting=b"\x03\x04" * CARD.rate)
        await asyncio.sleep(0)
        await there.card.hear(blocks=blocks)
        there.card.gone()
        await asyncio.wait_for(there.running, 1)
        assert [note.type for note in there.notes] == ["device_lost"]
        assert there.events == []
        await there.line.close()
        assert there.card.closed
