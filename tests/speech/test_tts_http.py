"""Azure's and OpenAI's voices against a real server that speaks their protocol, and its faults."""

from __future__ import annotations

import asyncio
import io
import json
import time
import xml.etree.ElementTree as ET
from contextlib import aclosing

import numpy as np
import pytest
import soundfile
from speech_server import Audio, Drop, SpeechServer, Status

from callbot.business import business_of
from callbot.errors import CallbotError
from callbot.sound import SpeechFailed
from callbot.speech.tts.registry import make_voice, voice_for
from callbot.yamlfile import read_yaml

KEY = "abcdef0123456789secret"
AZURE, OPENAI = "azure:he-IL-HilaNeural", "openai:tts-9/nova"
SAMPLES = bytes(range(256)) * 20
VARIABLES = (
    "AZURE_SPEECH_KEY",
    "AZURE_SPEECH_REGION",
    "AZURE_SPEECH_TTS_ENDPOINT",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
)


@pytest.fixture
async def server(monkeypatch):
    """The server, and an environment that leads to it."""
    async with SpeechServer() as running:
        monkeypatch.setenv("AZURE_SPEECH_KEY", KEY)
        monkeypatch.setenv("AZURE_SPEECH_TTS_ENDPOINT", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{running.url}/v1")
        yield running


@pytest.fixture(params=[AZURE, OPENAI])
async def voice(request, server):
    """Each of the two."""
    made = make_voice(request.param)
    yield made
    await made.close()


async def spoken(voice, text="שלום", language="he"):
    """All pieces of a sentence."""
    return [piece async for piece in voice.synthesise(text, language)]


async def test_azure_is_asked_for_what_the_phone_takes(server):
    """SSML with the text escaped, mu-law at 8 kHz, the key in its header."""
    server.will(Audio(SAMPLES))
    voice = make_voice("azure:he-IL-HilaNeural/-10%")
    assert b"".join(await spoken(voice, 'שלום <break/> & "רותי"\0')) == SAMPLES
    asked = server.requests[0]
    assert (asked.method, asked.path) == ("POST", "/cognitiveservices/v1")
    assert asked.headers["ocp-apim-subscription-key"] == KEY
    assert asked.headers["x-microsoft-outputformat"] == "raw-8khz-8bit-mono-mulaw"
    assert asked.headers["content-type"] == "application/ssml+xml"
    assert 0 < len(asked.headers["user-agent"]) < 255
    speak = ET.fromstring(asked.body)
    space = "{http://www.w3.org/2001/10/synthesis}"
    assert speak.get("{http://www.w3.org/XML/1998/namespace}lang") == "he-IL"
    assert speak.find(f"{space}voice").get("name") == "he-IL-HilaNeural"
    prosody = speak.find(f"{space}voice/{space}prosody")
    assert (prosody.get("rate"), prosody.text, len(prosody)) == ("-10%", 'שלום <break/> & "רותי"', 0)
    await voice.close()


async def test_a_multilingual_voice_is_told_the_language(server):
    """Else it would guess from the first words."""
    server.will(Audio(SAMPLES))
    voice = make_voice("azure:en-US-AvaMultilingualNeural")
    await spoken(voice)
    assert b'<lang xml:lang="he-IL">' in server.requests[0].body
    await voice.close()


async def test_openai_is_asked_for_streamed_samples(server):
    """24 kHz PCM as it is made."""
    server.will(Audio(SAMPLES))
    voice = make_voice(OPENAI)
    assert b"".join(await spoken(voice)) == SAMPLES
    asked = server.requests[0]
    assert (asked.path, asked.headers["authorization"]) == ("/v1/audio/speech", f"Bearer {KEY}")
    assert json.loads(asked.body) == {
        "model": "tts-9",
        "voice": "nova",
        "input": "שלום",
        "response_format": "pcm",
        "stream_format": "audio",
    }
    await voice.close()


async def test_another_server_is_named_with_its_address(server, monkeypatch):
    """No key is needed where the address is not OpenAI's; model names may hold slashes."""
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    server.will(Audio(SAMPLES))
    voice = make_voice(f"openai:hexgrad/kokoro/af_heart@{server.url}/v1")
    await spoken(voice)
    assert json.loads(server.requests[0].body)["model"] == "hexgrad/kokoro"
    assert voice.name == f"openai:hexgrad/kokoro/af_heart@{server.url}/v1"
    await voice.close()


async def test_a_server_that_does_not_know_streaming_is_asked_without_it(server):
    """Once refused, the option is never sent again."""
    server.will(Status(422, '{"detail": "stream_format: extra inputs are not permitted"}'), Audio(SAMPLES))
    voice = make_voice(OPENAI)
    for _ in range(2):
        assert b"".join(await spoken(voice)) == SAMPLES
    sent = ["stream_format" in json.loads(request.body) for request in server.requests]
    assert sent == [True, False, False]
    await voice.close()


async def test_audio_is_passed_on_as_it_comes(voice, server):
    """The first piece is there long before the last."""
    server.will(Audio(SAMPLES, chunk=1024, gap=0.1))
    begun = time.monotonic()
    async with aclosing(voice.synthesise("שלום", "he")) as pieces:
        await anext(pieces)
        first = time.monotonic() - begun
        rest = [piece async for piece in pieces]
    assert first < 0.3 < time.monotonic() - begun
    assert len(rest) >= 3


async def test_closing_hangs_up(voice, server):
    """A barge-in does not leave the provider talking to nobody."""
    server.will(Audio(SAMPLES * 2000, chunk=4096))
    async with aclosing(voice.synthesise("שלום", "he")) as pieces:
        await anext(pieces)
    async with asyncio.timeout(5):
        await server.hung_up.wait()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Status(401, f"bad key {KEY}"), "401 .*check"),
        (Status(403, KEY), "403 .*check"),
        (Status(429, "slow down", {"retry-after": "7"}), r"429 .*wait 7 s"),
        (Status(400, f"unknown voice, key {KEY}"), r"400 .*unknown voice, key \*\*\*"),
        (Status(503), "503"),
        (Drop(), "connection failed"),
        (Audio(b""), "sent no audio"),
        (Audio(b'{"error": "no"}', content_type="application/json"), "application/json instead of audio"),
        (Audio(b"<html>", content_type="text/html; charset=utf-8"), "text/html instead of audio"),
        (Audio(b"RIFF" + b"\0" * 40), "holds no audio"),
        (Audio(SAMPLES, cut_after=800), "connection failed after 80. bytes"),
    ],
)
async def test_faults_are_told_without_the_key(voice, server, answer, why):
    """What went wrong, and nothing that must not stand in a log."""
    server.will(answer)
    with pytest.raises(SpeechFailed, match=why) as caught:
        await spoken(voice)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("fault", [Status(500), Status(503), Drop()])
async def test_a_quick_failure_is_tried_once_more(voice, server, fault):
    """A connection that died since the last sentence costs nobody a turn."""
    server.will(fault, Audio(SAMPLES))
    assert b"".join(await spoken(voice)) == SAMPLES
    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", [Status(401), Status(429), Status(400)])
async def test_a_refusal_is_not_tried_again(voice, server, fault):
    """It would be refused again, and paid for."""
    server.will(fault, Audio(SAMPLES))
    with pytest.raises(SpeechFailed):
        await spoken(voice)
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
async def test_a_file_in_place_of_samples_is_unpacked(voice, server, kind):
    """A header played as samples is a crack; the speech in the file is what was asked for."""
    tone = (0.5 * np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, tone, 16000, format=kind)
    server.will(Audio(file.getvalue(), content_type="audio/x-wav", chunk=31))
    audio = b"".join(await spoken(voice))
    assert voice.format.seconds(len(audio)) == pytest.approx(1.0, abs=0.01)


async def test_a_server_that_only_listens_is_given_up(server):
    """Seconds, not the minutes that HTTP clients wait by default."""
    voice = make_voice(AZURE)
    server.will(Audio(SAMPLES, stall_after=800))
    begun = time.monotonic()
    with pytest.raises(SpeechFailed, match="in time after 800 bytes"):
        await spoken(voice)
    assert time.monotonic() - begun < 5
    await voice.close()


async def test_warming_opens_the_connection_and_fails_quietly(voice, server):
    """Whatever is wrong shows when it speaks."""
    await voice.warm()
    server._server.close()
    await voice.warm()


@pytest.mark.parametrize(
    ("name", "variables", "why"),
    [
        (AZURE, {}, "key of an Azure Speech resource in AZURE_SPEECH_KEY"),
        (AZURE, {"AZURE_SPEECH_KEY": KEY}, "AZURE_SPEECH_REGION, such as westeurope"),
        (AZURE, {"AZURE_SPEECH_KEY": KEY, "AZURE_SPEECH_REGION": "a.b/c"}, 'found "a.b/c"'),
        (AZURE, {"AZURE_SPEECH_KEY": KEY, "AZURE_SPEECH_TTS_ENDPOINT": "here"}, 'found "here"'),
        ("azure:Hila", {}, "azure:LOCALE-NAME"),
        (OPENAI, {}, "needs a key: set OPENAI_API_KEY"),
        (OPENAI, {"OPENAI_API_KEY": "a b"}, "no key has"),
        ("openai:tts-1", {}, "openai:MODEL/VOICE"),
        ("openai:m/v@http://u:p@host/v1", {}, "without user"),
    ],
)
def test_what_is_missing_is_said_before_the_first_call(monkeypatch, name, variables, why):
    """With the variable's name, and never with its value."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(CallbotError, match=why) as caught:
        make_voice(name)
    assert KEY not in str(caught.value)


def test_the_voice_of_a_business_comes_first(tmp_path):
    """Then the default; without either, an error that lists what there is."""
    text = "id: b\nname: B\ngreeting: {text: Hi}\nfields: [{name: a}]\nprompt: hi\n"
    (tmp_path / "b.yaml").write_text(text)
    plain = business_of(read_yaml(tmp_path / "b.yaml"))
    (tmp_path / "b.yaml").write_text(f"{text}voice: {{tts: espeak}}\n")
    own = business_of(read_yaml(tmp_path / "b.yaml"))
    assert voice_for(own, AZURE) == "espeak"
    assert voice_for(plain, AZURE) == AZURE
    with pytest.raises(CallbotError, match=r"b has no voice: set voice.tts"):
        voice_for(plain, None)
