"""Disks that are full, lines that break, callers who tell too much: each call keeps to itself, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai_server import OpenAIServer, Reply, reply_json
from recognition_server import Answer, RecognitionServer
from serving import CLINIC, LEAD, Bot, Caller, Rest, Stream, eventually, reply, serving, spoken
from speech_server import Audio, SpeechServer, Status

from callbot.events import HangUp, Speak
from callbot.record import entry_to_json
from callbot.store.database import open_store


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


async def tell(stream: Stream, text: str) -> None:
    """The caller says it; their voice carries a short word in its place, which is quicker."""
    await stream.socket.send(json.dumps({"event": "callbot.oracle", "text": text}))
    await stream.media(await asyncio.to_thread(spoken, "hello there"))


async def test_a_full_disk_stops_no_call(rest: Rest, tmp_path: Path) -> None:
    """Database and recording cannot be written; the call ends as it should, and is written once there is room."""
    business = CLINIC.replace(
        'greeting: {text: "Hello, this is the clinic."}',
        'greeting: {text: "Hello, we record.", mode: stream}\nprivacy: {record_audio: true, notice: we record}',
    )
    with serving(tmp_path, rest, replies=LEAD, business=business) as bot:
        caller = Caller(bot)
        stream = await caller.answered()
        await stream.until(1)
        _, most = resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, (16_384, most))  # no file grows beyond
        await stream.say("I am Dana")
        await stream.until(3)
        await stream.say("six one seven")
        await stream.over()
        assert caller.call_sid in dict(rest.ended)
        await eventually(lambda: bot.logs("the store took no writes, which wait in memory"))
        await eventually(lambda: bot.logs("a recording is not whole"))
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, (most, most))
        with open_store(bot.database_url) as store:
            call = await eventually(lambda: (c := store.calls.get(caller.call_sid)).ended_at and c)
            record = store.calls.load_record(caller.call_sid)
            lead = store.leads.get(caller.call_sid)
    assert (call.ended_by, call.end_reason, call.turns) == ("model", "lead_complete", 2)
    assert len(list(record.of(HangUp))) == 1
    assert lead is not None
    assert lead.fields == {"name": "Dana", "phone": "+16175550177"}


async def test_a_line_that_breaks_lets_go_of_the_model_and_keeps_the_lead(rest: Rest, tmp_path: Path) -> None:
    """Without ``stop``, in the middle of an answer; the carrier then says that the call is over."""
    with OpenAIServer() as model:
        first = reply_json("Hi Dana.", lead={"name": "Dana", "phone": None})
        model.will(Reply(first), Reply(reply_json("Well. " * 80), chunk=4, gap=0.3))
        with serving(tmp_path, rest, more=["--model", f"openai:m@{model.base_url}"]) as bot:
            caller = Caller(bot)
            stream = await caller.answered()
            await stream.say("I am Dana")
            await stream.until(1)
            await stream.say("and")
            await eventually(lambda: model.in_flight)
            await stream.until(2)
            await stream.socket.close()
            await eventually(lambda: not model.in_flight)  # the answer would have taken half a minute
            await caller.ring("/webhook/stream_status", StreamEvent="stream-error", StreamError="31903")
            await caller.ring("/webhook/call_status", CallStatus="completed")
            with open_store(bot.database_url) as store:
                call = await eventually(lambda: (c := store.calls.get(caller.call_sid)).ended_at and c)
                lead = store.leads.get(caller.call_sid)
    assert (call.ended_by, call.end_reason) == ("caller", None)
    assert lead is not None
    assert (lead.status, lead.fields) == ("in_progress", {"name": "Dana"})


async def test_callers_are_kept_apart_and_out_of_the_log(rest: Rest, tmp_path: Path) -> None:
    """Two at once: neither's words or lead are in the other's call; names, numbers, cards are in no log line."""
    secrets = ["Dana", "Avi", "4580", "123456782", "6175550", "Herzl"]
    with serving(tmp_path, rest) as bot:
        callers = [Caller(bot, caller="+16175550123"), Caller(bot, caller="+16175550124")]
        streams = [await caller.answered() for caller in callers]
        for stream, name in zip(streams, ("Dana Levi", "Avi Cohen"), strict=True):
            await tell(stream, f"my name is {name}")
        await tell(streams[0], "my card is 4580 1234 1234 1234, my ID is 123456782, 5 Herzl Street")
        await tell(streams[1], "my number is 617 555 0177")
        with open_store(bot.database_url) as store:

            def words(caller: Caller) -> str:
                entries = store.calls.load_record(caller.call_sid).entries
                return str([entry_to_json(entry) for entry in entries])

            await eventually(lambda: "Herzl" in words(callers[0]) and "+16175550177" in words(callers[1]))
            for stream, caller in zip(streams, callers, strict=True):
                await stream.stop()
                await eventually(lambda sid=caller.call_sid: store.calls.get(sid).ended_at)
            texts = [words(caller) for caller in callers]
            leads = [store.leads.get(caller.call_sid) for caller in callers]
        log = bot.log_text()
    assert [lead and lead.fields["name"] for lead in leads] == ["Dana Levi", "Avi Cohen"]
    assert leads[1] is not None
    assert leads[1].fields["phone"] == "+16175550177"
    told = [tuple(word in text for word in ("Dana", "Avi", "4580", "617555017")) for text in texts]
    assert told == [(True, False, True, False), (False, True, False, True)]
    assert not [secret for secret in secrets if secret in log]


async def test_a_link_among_the_clips_is_not_followed(rest: Rest, tmp_path: Path) -> None:
    """What may be fetched are sounds in memory, by their ids: no file is opened for a request."""
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0")
    with serving(tmp_path, rest, replies=LEAD) as bot:
        clips = tmp_path / "recordings" / "clips"
        (clips / "link.wav").symlink_to(secret)
        (clips / "link").symlink_to(secret)
        for name in [
            *(path.name for path in clips.iterdir()),
            "link",
            "link%00.wav",
            "%2e%2e%2f%2e%2e%2fsecret",
        ]:
            status, _, body = bot.get(f"/static/audio/{name}")
            assert (status, body) == (404, b"no such audio" if "%2f" not in name else b"Not Found")


@contextlib.asynccontextmanager
async def speaking(
    folder: Path, rest: Rest, voice: SpeechServer, ears: RecognitionServer, **settings: Any
) -> AsyncIterator[Bot]:
    """A bot whose voice and recogniser are providers' servers; they run in this process, it must not wait for them."""
    voice.will(Audio(b"\x00\x10" * 12_000))
    more = ["--tts", f"openai:m/v@{voice.url}/v1", "--stt", f"openai:m@{ears.url}/v1"]
    bot = await asyncio.to_thread(Bot(folder, rest.url, more=more, **settings).start)
    try:
        yield bot
    finally:
        await asyncio.to_thread(bot.kill)


async def test_voice_and_recogniser_are_warm_before_the_caller_speaks(rest: Rest, tmp_path: Path) -> None:
    """The webhook shakes hands with both; the caller's first words go over the hand that was shaken."""
    async with (
        SpeechServer() as voice,
        RecognitionServer() as ears,
        speaking(tmp_path, rest, voice, ears, replies=LEAD) as bot,
    ):
        ears.will(Answer({"text": "I am Dana"}))
        assert (voice.warmed, ears.warmed) == ([], [])
        caller = Caller(bot)
        document = await caller.ring()
        await eventually(lambda: voice.warmed and ears.warmed)
        stream = await caller.answered(document)
        asked = len(voice.requests)
        await stream.media(await asyncio.to_thread(spoken, "I am Dana"))
        await stream.until(2)
        assert [request.client for request in ears.requests] == ears.warmed
        assert voice.requests[asked].client in voice.warmed
        await stream.stop()


async def test_a_voice_that_is_down_leaves_nobody_on_the_line(rest: Rest, tmp_path: Path) -> None:
    """The farewell cannot be spoken, and the call ends all the same, once."""
    replies = [reply("Thank you. Goodbye.", end="customer_declined", status="declined")]
    async with (
        SpeechServer() as voice,
        RecognitionServer() as ears,
        speaking(tmp_path, rest, voice, ears, replies=replies) as bot,
    ):
        ears.will(Answer({"text": "no"}))
        voice.will(Status(503))
        caller = Caller(bot)
        stream = await caller.answered()
        await stream.media(await asyncio.to_thread(spoken, "I am Dana"))
        await stream.over()
        assert [sid for sid, _ in rest.ended].count(caller.call_sid) == 1
        with open_store(bot.database_url) as store:
            assert store.calls.get(caller.call_sid).end_reason == "customer_declined"


async def test_a_recogniser_that_hears_nothing_ends_in_silence(rest: Rest, tmp_path: Path) -> None:
    """No words, then a failure: the caller is asked whether they are there, and the call ends for no response."""
    business = CLINIC + "silence: {after: 0.5, warnings: 1, warn: [Are you there?], close: Goodbye.}\n"
    async with (
        SpeechServer() as voice,
        RecognitionServer() as ears,
        speaking(tmp_path, rest, voice, ears, business=business) as bot,
    ):
        ears.will(Answer({"text": ""}), Answer(status=500))
        caller = Caller(bot)
        stream = await caller.answered()
        for _ in range(2):
            await stream.media(await asyncio.to_thread(spoken, "I am Dana"))
        await stream.over()
        with open_store(bot.database_url) as store:
            call = store.calls.get(caller.call_sid)
            record = store.calls.load_record(caller.call_sid)
    assert (call.ended_by, call.end_reason, call.turns) == ("silence", "no_response", 0)
    assert [speak.text for _, speak in record.of(Speak)] == ["Are you there?", "Goodbye."]
