"""A carrier that others made judges the bot: streamdouble calls ``callbot serve``, and both tell of the same call."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from serving import CLINIC, Bot, Caller, Rest, eventually, reply, serving, signed
from streamdouble.protocol import StreamIdentity
from streamdouble.scenario import Dtmf, Say, Scenario, Wait, WaitFor
from streamdouble.session import CLOSED_BY_AGENT, Session, SessionConfig

from callbot.certificate import greeting_certificate
from callbot.events import AudioQueued, HangUp, KeyPressed, Played, Speak
from callbot.speech.audio import decode_mulaw
from callbot.store.database import open_store

RECORDED = CLINIC.replace(
    'greeting: {text: "Hello, this is the clinic."}',
    'greeting: {text: "Hello, we record.", mode: stream}\nprivacy: {record_audio: true, notice: we record}',
)
REPLIES = [reply("Thank you. Goodbye.", end="customer_declined", status="declined")]
HUM = [bytes([0x7E, 0xFE, 0x7D, 0xFD] * 40)] * 25
"""Half a second that is no voice, and nothing else."""


@pytest.fixture
def rest() -> Iterator[Rest]:
    """The REST API of the bot."""
    server = Rest()
    yield server
    server.close()


@contextlib.asynccontextmanager
async def signing(bot: Bot, url: str) -> AsyncIterator[str]:
    """An address that passes all on to the bot, the handshake with its signature: streamdouble sends none."""

    async def pipe(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        while piece := await source.read(65536):
            drain.write(piece)
            await drain.drain()
        drain.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", bot.port)
        head = await reader.readuntil(b"\r\n\r\n")
        outer.write(head[:-2] + f"X-Twilio-Signature: {signed(url, {})}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pipe(reader, outer), pipe(inner, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/media"


async def test_streamdouble_and_the_bot_tell_of_the_same_call(rest: Rest, tmp_path: Path) -> None:
    """Greeting, marks, media both ways, a key, the farewell and who closed: what one counted, the other did."""
    with serving(tmp_path, rest, replies=REPLIES, business=RECORDED) as bot:
        caller = Caller(bot)
        document = await caller.ring()
        steps = [WaitFor("mark", 20.0), Say(Path("hum"), HUM), Dtmf("1"), Wait(30.0)]
        config = SessionConfig(custom_parameters={"nonce": document.nonce or ""})
        identity = StreamIdentity(call_sid=caller.call_sid)
        async with signing(bot, document.stream_url) as address:
            session = Session(address, scenario=Scenario("a key", steps), config=config, identity=identity)
            heard = await session.run()
        assert (heard.violations, heard.unknown_events, heard.warnings) == ([], [], [])
        assert heard.closed_by == CLOSED_BY_AGENT, "after the farewell, not before"
        assert (await caller.ring("/webhook/after_stream")).verbs == ["Hangup"]
        assert [sid for sid, _ in rest.ended] == [caller.call_sid]
        with open_store(bot.database_url) as store:
            record = store.calls.load_record(caller.call_sid)
        said = [speak for _, speak in record.of(Speak)]
        assert [speak.text for speak in said] == ["Hello, we record.", "Thank you.", "Goodbye."]
        assert heard.marks_received == heard.marks_echoed == [str(speak.mark) for speak in said]
        assert [str(played.mark) for _, played in record.of(Played)] == heard.marks_echoed
        seconds = sum(queued.seconds for _, queued in record.of(AudioQueued))
        assert heard.audio_duration_s == pytest.approx(seconds)
        assert str(greeting_certificate(record)) == "pass (stream)"
        assert [key.key for _, key in record.of(KeyPressed)] == ["1"]
        assert [why.reason for _, why in record.of(HangUp)] == ["customer_declined"]
        path = tmp_path / "recordings" / "calls" / caller.call_sid / "stream-1.wav"
        least = heard.frames_sent - 100  # what it sent last found a call that was over
        left = await eventually(
            lambda: path.exists() and len(side := caller_side(path)) >= 320 * least and side
        )
        assert decode_mulaw(b"".join(HUM)) in left, "every byte of the caller's"
        assert len(left) <= 320 * heard.frames_sent


def caller_side(path: Path) -> bytes:
    """The caller's samples of a recording."""
    with wave.open(str(path)) as file:
        frames = file.readframes(file.getnframes())
    return b"".join(frames[at : at + 2] for at in range(0, len(frames), 4))
