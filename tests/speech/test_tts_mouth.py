"""One call's voice: in the line's format, with clips that outlive their provider."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from speech_server import Audio, SpeechServer, Status

from callbot.business import read_business
from callbot.events import SpeechKind
from callbot.sound import PHONE, AudioFormat, SpeechFailed
from callbot.speech.cache import fixed_sentences, render_fixed
from callbot.speech.mouth import BusinessMouth
from callbot.speech.tts.registry import make_voice

PROMPTS = Path(__file__).parents[2] / "prompts"
TONE = b"".join((8000 * (1 if i % 60 < 30 else -1)).to_bytes(2, "little", signed=True) for i in range(24000))
"""One second of 24 kHz PCM."""


@pytest.fixture(scope="module")
def business():
    """A Hebrew one."""
    return read_business(PROMPTS / "ruti-cleaning.yaml")


@pytest.fixture
async def server():
    """Speaks OpenAI's endpoint."""
    async with SpeechServer() as running:
        yield running


@pytest.fixture
async def voice(server):
    """A voice on that server."""
    made = make_voice(f"openai:m/v@{server.url}/v1")
    yield made
    await made.close()


async def said(mouth, text):
    """All audio of a sentence."""
    return b"".join([piece async for piece in mouth.say(text, SpeechKind.REPLY)])


@pytest.mark.parametrize("format", [PHONE, AudioFormat("pcm16", 16000), AudioFormat("pcm16", 24000)])
async def test_a_sentence_comes_in_the_lines_format(business, server, voice, format):
    """Whatever the voice speaks in, and however its audio was cut."""
    server.will(Audio(TONE, chunk=777))
    audio = await said(BusinessMouth(business, voice, format), "שלום")
    assert format.seconds(len(audio)) == pytest.approx(1.0, abs=0.01)


async def test_what_is_synthesised_was_made_speakable(business, server, voice):
    """A voice is never shown digits."""
    server.will(Audio(TONE))
    await said(BusinessMouth(business, voice, PHONE), "חייגו *2700 😀")
    assert "כוכבית שתיים שבע אפס אפס".encode("unicode-escape") in server.requests[0].body


async def test_a_smile_alone_is_a_failure(business, server, voice):
    """Nothing is asked of the provider."""
    server.will(Audio(TONE))
    with pytest.raises(SpeechFailed, match="nothing to say"):
        await said(BusinessMouth(business, voice, PHONE), "😀")
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [(Audio(TONE, latency=2), "to begin a sentence"), (Audio(TONE, stall_after=4000), "after 4000 bytes")],
)
async def test_a_voice_that_keeps_a_caller_waiting_has_failed(business, server, voice, answer, why):
    """The line hears of it while there is still time to say something else."""
    server.will(answer)
    begun = time.monotonic()
    with pytest.raises(SpeechFailed, match=why):
        await said(BusinessMouth(business, voice, PHONE, first_audio=0.2, stall=0.2), "שלום")
    assert time.monotonic() - begun < 1.5


async def test_every_fixed_sentence_is_spoken_when_the_provider_is_down(business, server, voice, tmp_path):
    """Rendered once; then from disk, by another process too, with no voice to ask."""
    server.will(Audio(TONE))
    first = await render_fixed(business, voice, PHONE, tmp_path)
    texts = fixed_sentences(business)
    assert set(first.audio) == set(texts)
    assert first.missing == {}
    for text in (business.greeting.text, *business.sentence_list("warn"), business.sentence("apology")):
        assert text in texts
    server.will(Status(503))
    asked = len(server.requests)
    again = await render_fixed(business, voice, PHONE, tmp_path)
    assert (again.audio, len(server.requests)) == (first.audio, asked)
    mouth = BusinessMouth(business, voice, PHONE, again.audio)
    assert await said(mouth, business.sentence("failure")) == first.audio[business.sentence("failure")]
    with pytest.raises(SpeechFailed, match="503"):
        await said(mouth, "משפט אחר")


async def test_a_provider_that_is_down_is_not_asked_for_each_sentence(business, server, voice, tmp_path):
    """A server starts in seconds all the same, and knows what is missing and why."""
    server.will(Status(401))
    clips = await render_fixed(business, voice, PHONE, tmp_path, {business.greeting.text: b"\xff" * 8000})
    assert set(clips.audio) == {business.greeting.text}
    assert len(clips.missing) == len(fixed_sentences(business)) - 1
    assert "401" in next(iter(clips.missing.values()))
    assert len(server.requests) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: data[:40] + b"\0" + data[41:], lambda _: b""]
)
async def test_a_damaged_clip_is_rendered_again(business, server, voice, tmp_path, damage):
    """Half a farewell is worse than a late one."""
    server.will(Audio(TONE))
    whole = await render_fixed(business, voice, PHONE, tmp_path)
    path = max(tmp_path.iterdir())
    path.write_bytes(damage(path.read_bytes()))
    asked = len(server.requests)
    assert (await render_fixed(business, voice, PHONE, tmp_path)).audio == whole.audio
    assert len(server.requests) == asked + 1


async def test_another_text_voice_or_format_is_another_clip(business, server, voice, tmp_path):
    """Nobody hears yesterday's greeting."""
    server.will(Audio(TONE))
    await render_fixed(business, voice, PHONE, tmp_path)
    count = len(list(tmp_path.iterdir()))
    await render_fixed(business, voice, AudioFormat("pcm16", 16000), tmp_path)
    other = make_voice(f"openai:m/w@{server.url}/v1")
    await render_fixed(business, other, PHONE, tmp_path)
    await other.close()
    assert len(list(tmp_path.iterdir())) == 3 * count
    greeting = business.greeting.model_copy(update={"text": "שלום שלום"})
    await render_fixed(business.model_copy(update={"greeting": greeting}), voice, PHONE, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3 * count + 1


async def test_clips_nobody_used_for_a_season_are_removed(business, server, voice, tmp_path):
    """Texts change; the disk does not fill with old ones."""
    server.will(Audio(TONE))
    stale = tmp_path / "old.clip"
    stale.write_bytes(b"x")
    os.utime(stale, (time.time() - 100 * 86400,) * 2)
    foreign = tmp_path / "notes.txt"
    foreign.write_text("x")
    os.utime(foreign, (0, 0))
    await render_fixed(business, voice, PHONE, tmp_path)
    assert not stale.exists()
    assert foreign.exists()


async def test_a_folder_that_takes_nothing_costs_no_call(business, server, voice, tmp_path):
    """The sentences are there, only not kept."""
    server.will(Audio(TONE))
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x")
    clips = await render_fixed(business, voice, PHONE, in_the_way / "clips")
    assert clips.missing == {}


async def test_two_calls_speak_at_once(business, server, voice):
    """One voice serves all calls of a process."""
    server.will(Audio(TONE, chunk=4800, gap=0.02))
    mouths = [BusinessMouth(business, voice, PHONE) for _ in range(8)]
    audios = await asyncio.gather(*(said(mouth, "שלום") for mouth in mouths))
    assert {PHONE.seconds(len(audio)) for audio in audios} == {1.0}
