"""Callers are recorded if their business says so and its greeting told them; nobody else leaves a sound."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli import callbot
from operating import ADMIN, Operator
from serving import CLINIC, LEAD, NUMBER, SILENCE, Bot, Caller, Rest, Stream, eventually, serving, spoken

from callbot.speech.audio import decode_mulaw
from callbot.store.database import Store, open_store

STREAMED, PLAYED = "+16175550101", "+16175550102"
TOLD = 'greeting: {text: "Hello, this call is recorded.", mode: %s}\nprivacy: {record_audio: true, notice: this call is recorded}'


def recorded(name: str, number: str, mode: str) -> str:
    """The clinic's file under another name, as one that records."""
    file = CLINIC.replace("id: clinic", f"id: {name}").replace(NUMBER, number)
    return file.replace('greeting: {text: "Hello, this is the clinic."}', TOLD % mode)


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bot(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot of three businesses: one records nobody, one says its greeting itself, the carrier plays the third's."""
    folder = tmp_path_factory.mktemp("bot")
    (folder / "prompts").mkdir()
    for name, number, mode in (("streamed", STREAMED, "stream"), ("played", PLAYED, "play")):
        text = recorded(name, number, mode)
        (folder / "prompts" / f"{name}.yaml").write_text(text, encoding="utf-8")
    with serving(folder, rest, replies=LEAD, environment=ADMIN) as running:
        yield running


@pytest.fixture
def store(bot: Bot) -> Iterator[Store]:
    """Its store."""
    with open_store(bot.database_url) as opened:
        yield opened


def recording(bot: Bot, caller: Caller, stream: int = 1) -> Path:
    """Where a stream's recording is."""
    return bot.folder / "recordings" / "calls" / caller.call_sid / f"stream-{stream}.wav"


def sides(path: Path) -> tuple[bytes, bytes]:
    """The caller's and the bot's samples."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        frames = file.readframes(file.getnframes())
    left, right = bytearray(len(frames) // 2), bytearray(len(frames) // 2)
    for byte in (0, 1):
        left[byte::2], right[byte::2] = frames[byte::4], frames[2 + byte :: 4]
    return bytes(left), bytes(right)


def written(path: Path, length: int) -> bool:
    """Whether so many bytes of each side are in the file, and its header says so."""
    return path.exists() and path.stat().st_size > 2 * length and len(sides(path)[0]) == length


async def ended(bot: Bot, store: Store, caller: Caller, stream: Stream) -> None:
    """The caller hangs up, and the call is over."""
    await stream.stop()
    await eventually(lambda: store.calls.get(caller.call_sid).ended_at)
    await eventually(lambda: [line for line in bot.logs("call over") if line["call"] == caller.call_sid])


async def test_both_sides_of_a_recorded_call_are_kept(bot: Bot, store: Store) -> None:
    """The caller left, the bot right, sample by sample, for the owner's eyes; ``calls show`` names the file."""
    caller = Caller(bot, dialled=STREAMED)
    stream = await caller.answered()
    await stream.until(1)
    await stream.say("I am Dana")
    await stream.until(3)
    await stream.media([SILENCE] * 200)
    await ended(bot, store, caller, stream)
    path = recording(bot, caller)
    frames = [*await asyncio.to_thread(spoken, "I am Dana"), *[SILENCE] * 200]
    caller_side = decode_mulaw(b"".join(frames))
    await eventually(lambda: written(path, len(caller_side)))
    left, right = sides(path)
    assert left == caller_side
    assert path.stat().st_mode & 0o777 == 0o600
    begin = 0
    for length in stream.audio:  # each sentence whole, in order
        sentence, stream.said = decode_mulaw(bytes(stream.said[:length])), stream.said[length:]
        begin = right.index(sentence, begin) + len(sentence)
    shown = await asyncio.to_thread(callbot, "calls", "show", caller.call_sid, cwd=bot.folder)
    assert f"recorded: recordings/calls/{caller.call_sid}/stream-1.wav" in shown.stdout
    assert f"<dd><code>recordings/calls/{caller.call_sid}/stream-1.wav</code></dd>" in Operator.of(bot).page(
        f"/admin/calls/{caller.call_sid}"
    )
    notes = store.calls.load_record(caller.call_sid).notes("recorded")
    assert [note["file"] for _, note in notes] == [f"recordings/calls/{caller.call_sid}/stream-1.wav"]


async def test_a_call_that_goes_on_is_recorded_on(bot: Bot, store: Store) -> None:
    """A second stream is a second file; one that was lost before the notice was heard stays without."""
    for dialled, noticed in ((STREAMED, True), (STREAMED, False), (PLAYED, False)):
        caller = Caller(bot, dialled=dialled)
        stream = await caller.answered(marks=noticed)
        await stream.until(1 if dialled == STREAMED else 0)
        await stream.media([SILENCE] * 60)
        await stream.socket.close()
        again = await caller.answered(await caller.ring("/webhook/after_stream"))
        await again.until(1)
        await again.media([SILENCE] * 60)
        await ended(bot, store, caller, again)
        for number in (1, 2):
            path = recording(bot, caller, number)
            if noticed:  # the file is written beside the call, which may be over before
                await eventually(lambda p=path: written(p, 19_200))
            assert path.exists() == noticed


async def test_nobody_is_recorded_who_was_not_told(bot: Bot, store: Store) -> None:
    """A business that does not record; a greeting that was not heard to its end, streamed or played."""
    for dialled, marks in ((NUMBER, True), (STREAMED, False), (PLAYED, True)):
        caller = Caller(bot, dialled=dialled)
        stream = await caller.answered(marks=marks)  # at once: this carrier plays nothing
        await stream.media([SILENCE] * 150)
        await ended(bot, store, caller, stream)
        assert not recording(bot, caller).parent.exists()


async def test_a_greeting_that_the_carrier_has_played_tells_them(bot: Bot) -> None:
    """Its length has passed when the stream opens."""
    caller = Caller(bot, dialled=PLAYED)
    document = await caller.ring()
    status, _, greeting = bot.get(document.text_of("Play").removeprefix(bot.url))
    assert status == 200
    await asyncio.sleep((len(greeting) - 44) / 16_000)  # the carrier plays it
    stream = await caller.answered(document)
    await stream.media([SILENCE] * 150)
    path = await eventually(lambda: (p := recording(bot, caller)).exists() and p)
    await stream.stop()
    await eventually(lambda: len(sides(path)[0]) == 48_000)


async def test_a_recording_that_cannot_be_written_costs_no_call(bot: Bot, store: Store) -> None:
    """It is counted and said once; the call takes its lead."""
    caller = Caller(bot, dialled=STREAMED)
    recording(bot, caller).parent.parent.mkdir(parents=True, exist_ok=True)
    recording(bot, caller).parent.write_text("in the way")
    stream = await caller.answered()
    await stream.until(1)
    await stream.media([SILENCE] * 150)
    await stream.say("I am Dana")
    await stream.until(3)
    await stream.say("six one seven")
    await stream.over()
    assert store.calls.get(caller.call_sid).end_reason == "lead_complete"
    lost = [line for line in bot.logs("a recording is not whole") if caller.call_sid in line["file"]]
    assert ["cannot be written" in line["why"] for line in lost] == [True]
