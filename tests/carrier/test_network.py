"""Webhooks are tried, timed and refused as Twilio does, and audio is cached as it does."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator

import numpy as np
import pytest
import soundfile
from bot import GREETING, TOKEN, Bot
from calling import all_of, exchange, failed, ring, scenario

from callbot.carrier import g711
from callbot.carrier.network import Network, Overrides, Unreachable
from callbot.carrier.sound import played
from callbot.carrier.trouble import TwilioError

TWIML = b"<Response><Hangup/></Response>"


@contextlib.asynccontextmanager
async def server(*answers: bytes | float | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers one connection after another: bytes, a status after seconds, or None: it hangs up at once."""
    seen: list[bytes] = []
    waiting = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = next(waiting)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            if isinstance(answer, float):
                await asyncio.sleep(answer)
            if answer is not None:
                writer.write(answer if isinstance(answer, bytes) else ok())
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook", seen


def ok(body: bytes = TWIML, status: str = "200 OK", kind: str = "text/xml", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


async def ask(*answers: bytes | float | None, fragment: str = "") -> tuple[object, int]:
    """The answer or the error, and how often the bot was asked."""
    async with server(*answers) as (url, seen), Network(TOKEN) as network:
        try:
            return (await network.webhook(url + fragment, {"CallSid": "CA1"})).body, len(seen)
        except TwilioError as error:
            return error, len(seen)


async def test_a_failed_connection_is_tried_once_more():
    """Not twice, and a status is not tried again, unless the URL says so."""
    assert await ask(None, ok()) == (TWIML, 2)
    error, tries = await ask(None, None, ok())
    assert isinstance(error, Unreachable)
    assert (error.code, tries) == (11205, 2)
    error, tries = await ask(ok(status="503 Busy"), ok())
    assert isinstance(error, TwilioError)
    assert (error.code, tries) == (11200, 1)
    assert "503" in str(error)
    assert await ask(ok(status="503 Busy"), ok(), fragment="#rp=5xx") == (TWIML, 2)
    assert await ask(None, None, None, ok(), fragment="#rc=3") == (TWIML, 4)


async def test_a_slow_answer_is_given_up():
    """After what the fragment allows, and without a second try."""
    error, tries = await ask(3.0, ok(), fragment="#rt=200")
    assert isinstance(error, Unreachable)
    assert tries == 1


@pytest.mark.parametrize("fragment", ["ct=50", "rt=20000", "rc=9", "tt=soon"])
def test_overrides_out_of_range_are_refused(fragment):
    """The message says what the range is."""
    with pytest.raises(TwilioError, match="must be"):
        Overrides.of(f"https://bot.example.com/#{fragment}")


async def test_the_fallback_is_told_what_went_wrong():
    """And its TwiML is run; without one the call fails, and the report says why."""
    bot = Bot()
    bot.documents["sorry"] = "<Response><Say>sorry</Say><Hangup/></Response>"
    bot.documents["broken"] = "<Response>a & b</Response>"
    async with exchange(bot) as carrier:
        call = carrier.with_webhook(f"{bot.base}/document/broken")
        rescued = call.with_fallback(f"{bot.base}/document/sorry")
        silent = scenario({"silence": 9}, end=(1, 1))
        finished, lost = await all_of(rescued.call(silent), call.call(silent))
    told = next(fields for name, fields in bot.seen if name == "sorry")
    assert told["ErrorCode"] == "12100"
    assert told["ErrorUrl"].endswith("/broken")
    assert finished.report.ending.by == "verb"
    assert lost.report.ending.by == "error"
    assert "no_error" in failed(lost)
    assert "12100" in lost.report.ending.detail


async def test_a_bot_is_rung_by_its_public_url():
    """Signed for it, and found where it really is, without TLS."""
    bot = Bot(public="https://bot.example.com")
    finished = await ring(bot)
    assert failed(finished) == set()
    assert all("forged" not in fields for _, fields in bot.seen)


async def test_audio_is_cached_by_its_validators():
    """Fresh when it has none, revalidated when it has, fetched again when told no-cache alone."""
    wav = io.BytesIO()
    soundfile.write(wav, GREETING, 8000, format="WAV")
    body = wav.getvalue()
    plain = ok(body, kind="audio/wav")
    tagged = ok(body, kind="audio/wav", more='ETag: "a"\r\n')
    same = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    no_cache = ok(body, kind="audio/wav", more="Cache-Control: no-cache\r\n")
    for answers, asked in ((plain, plain), 1), ((tagged, same, same), 3), ((no_cache,) * 3, 3):
        async with server(*answers) as (url, seen), Network(TOKEN) as network:
            got = {await network.audio(url) for _ in range(3)}
        assert len(got) == 1
        assert len(seen) == asked
    assert b'if-none-match: "a"' not in seen[0].lower()


@pytest.mark.parametrize(
    ("format_", "subtype", "rate", "kind"),
    [
        ("WAV", "PCM_16", 8000, "audio/wav"),
        ("WAV", "ULAW", 8000, "audio/x-wav"),
        ("WAV", "PCM_24", 44100, "audio/wave"),
        ("AIFF", "PCM_16", 22050, "audio/x-aiff"),
        ("MP3", "MPEG_LAYER_III", 16000, "audio/mpeg; charset=x"),
        ("RAW", "ULAW", 8000, "audio/basic"),
    ],
)
def test_what_play_takes_comes_out_as_telephone_audio(format_, subtype, rate, kind):
    """Every container and rate, stereo too, sounds as the original does."""
    import soxr

    original = GREETING if rate == 8000 else soxr.resample(GREETING, 8000, rate)
    mono = format_ in ("RAW", "MP3")  # libsndfile's MP3 of two equal channels is broken as written
    stereo = original if mono else np.stack([original, original], axis=1)
    file = io.BytesIO()
    soundfile.write(file, stereo, rate, format=format_, subtype=subtype)
    heard = g711.decode(played(file.getvalue(), kind, "x")).astype(float)
    padded = np.pad(heard, 2000)  # an encoder may delay
    lag = int(np.argmax(np.correlate(padded, GREETING.astype(float), mode="valid")))
    assert np.corrcoef(padded[lag : lag + 8000], GREETING)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("body", "kind"), [(b"RIFFxxxx", "audio/wav"), (b"hello", "text/html"), (b"", "audio/mpeg")]
)
def test_what_play_does_not_take_is_named(body, kind):
    """With its URL."""
    with pytest.raises(TwilioError, match=r"https://a\.example/x") as caught:
        played(body, kind, "https://a.example/x")
    assert caught.value.code == 12300
