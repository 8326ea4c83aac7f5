"""Azure's and OpenAI's recognisers against a real server that speaks their protocols, and its faults."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from hearing import Listening, kept_contract, mixed, mulaw, said, silence
from recognition_server import Answer, RecognitionServer

from callbot.errors import CallbotError
from callbot.events import UserSpoke
from callbot.sound import SpeechFailed
from callbot.speech.stt.registry import make_recogniser

KEY = "abcdef0123456789secret"
AZURE, OPENAI = "azure:he-IL", "openai"
SECOND = np.zeros(16000, "<i2").tobytes()
WORDS = {
    AZURE: {
        "RecognitionStatus": "Success",
        "DisplayText": "שלום, אני דנה.",
        "Offset": 0,
        "Duration": 600_000_000,
    },
    OPENAI: {"text": " שלום, אני דנה. ", "usage": {"type": "duration", "seconds": 1}},
}


@pytest.fixture
async def server(monkeypatch):
    """The server, and an environment that leads to it."""
    async with RecognitionServer() as running:
        monkeypatch.setenv("AZURE_SPEECH_KEY", KEY)
        monkeypatch.setenv("AZURE_SPEECH_STT_ENDPOINT", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{running.url}/v1")
        yield running


@pytest.fixture(params=[AZURE, OPENAI])
async def recogniser(request, server):
    """Each of the two."""
    made = make_recogniser(request.param)
    await made.warm()
    yield made
    await made.close()


def words(recogniser):
    """A good answer of its server."""
    return Answer(WORDS[AZURE if recogniser.name.startswith("azure") else OPENAI])


async def heard(recogniser, seconds=1, language="he"):
    """What it makes of an utterance."""
    hearing = recogniser.listen(language)
    for _ in range(seconds * 10):
        hearing.feed(SECOND[:3200])
    return await hearing.text()


async def test_azure_is_sent_the_audio_while_it_is_spoken(server):
    """Chunked WAV with a key and a locale; the first of it before the utterance is over."""
    server.will(Answer(WORDS[AZURE]))
    recogniser = make_recogniser(AZURE)
    hearing = recogniser.listen("he")
    hearing.feed(SECOND)
    async with asyncio.timeout(20):
        await server.arrived.wait()
    [request] = server.requests
    assert request.path == (
        "/speech/recognition/conversation/cognitiveservices/v1?language=he-IL&format=simple&profanity=raw"
    )
    assert request.headers["ocp-apim-subscription-key"] == KEY
    assert request.headers["content-type"] == "audio/wav; codecs=audio/pcm; samplerate=16000"
    assert request.headers["transfer-encoding"] == "chunked"
    assert request.headers["expect"] == "100-continue"
    assert await hearing.text() == "שלום, אני דנה"
    assert request.wav == (16000, 1.0)
    await recogniser.close()


async def test_azure_takes_the_language_of_the_call_when_none_is_named(server):
    """English callers are not recognised as Hebrew."""
    server.will(Answer(WORDS[AZURE]))
    recogniser = make_recogniser("azure")
    await heard(recogniser, language="en")
    assert "language=en-US" in server.requests[0].path
    await recogniser.close()


async def test_azure_is_asked_again_for_what_it_did_not_hear(server):
    """It may answer at a pause, before the rest has been spoken: a number's last digits are not lost."""
    first = {**WORDS[AZURE], "DisplayText": "052.", "Duration": 15_000_000}
    rest = {**WORDS[AZURE], "DisplayText": "123-4567.", "Duration": 15_000_000}
    server.will(Answer(first, after=32000), Answer(rest))
    recogniser = make_recogniser(AZURE)
    hearing = recogniser.listen("he")
    hearing.feed(SECOND)
    await server.arrived.wait()
    await asyncio.sleep(0.05)
    hearing.feed(SECOND + SECOND)
    assert await hearing.text() == "052. 123-4567"
    assert server.requests[1].wav == (16000, 1.5)
    await recogniser.close()


@pytest.mark.parametrize("status", ["NoMatch", "InitialSilenceTimeout", "BabbleTimeout"])
async def test_azure_hears_no_words_in_noise(server, status):
    """Which is no failure."""
    server.will(Answer({"RecognitionStatus": status, "Offset": 0, "Duration": 0}))
    recogniser = make_recogniser(AZURE)
    assert await heard(recogniser) == ""
    await recogniser.close()


async def test_openai_is_sent_one_file_with_the_language(server):
    """A WAV at 16 kHz, as every compatible server takes it."""
    server.will(Answer(WORDS[OPENAI]))
    recogniser = make_recogniser("openai:my-whisper@" + server.url + "/v1")
    assert await heard(recogniser) == "שלום, אני דנה"
    [request] = server.requests
    assert request.path == "/v1/audio/transcriptions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    for name, value in (("model", "my-whisper"), ("language", "he"), ("response_format", "json")):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in request.body
    assert request.wav == (16000, 1.0)
    await recogniser.close()


async def test_openai_uses_its_current_model():
    """The others of the endpoint have an announced end."""
    assert make_recogniser("openai:x@http://127.0.0.1:9/v1").name == "openai:x@http://127.0.0.1:9/v1"
    recogniser = make_recogniser("openai:gpt-transcribe@http://127.0.0.1:9/v1")
    with pytest.raises(SpeechFailed, match="the connection failed"):
        await heard(recogniser)


@pytest.mark.parametrize("fault", [Answer(status=503), Answer(drop=True), Answer(b"<html>")])
async def test_a_passing_fault_is_tried_once_more(server, recogniser, fault):
    """With all of the audio, and nobody notices."""
    server.will(fault, words(recogniser))
    assert await heard(recogniser) == "שלום, אני דנה"
    assert [request.wav for request in server.requests] == [(16000, 1.0)] * 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Answer(status=500), "answered 500"),
        (Answer({"error": "no " + KEY}, status=401), "check (AZURE_SPEECH_KEY|OPENAI_API_KEY)"),
        (Answer({"error": "slow down"}, status=429), "answered 429.*slow down"),
        (Answer({"error": "bad " + KEY}, status=400), "bad \\*\\*\\*"),
        (Answer({"unexpected": 1}), "without words"),
        (Answer(b"[1]"), "no JSON object"),
        (Answer(drop=True), "the connection failed"),
    ],
)
async def test_a_lasting_fault_is_told_in_words(server, recogniser, fault, said):
    """Without the key."""
    server.will(fault)
    with pytest.raises(SpeechFailed, match=said) as raised:
        await heard(recogniser)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "variable", "said"),
    [
        ("azure:hebrew", None, "azure:he-IL"),
        ("azure:he-IL", "AZURE_SPEECH_KEY", "AZURE_SPEECH_KEY"),
        ("azure:he-IL", "AZURE_SPEECH_STT_ENDPOINT", "AZURE_SPEECH_REGION"),
        ("openai:", None, "openai:MODEL"),
        ("openai:x@ftp://host", None, "http://HOST/v1"),
        ("openai:x@http://user:pw@host/v1", None, "without user"),
        ("faster-whisper:", None, "a folder or a name"),
        ("faster-whisper:/no/such/folder", None, "no folder"),
        ("opnai", None, 'did you mean "openai"'),
        ("oracle:x", None, "recognisers are named"),
    ],
)
async def test_a_name_that_cannot_be_used_is_refused_with_what_would(
    server, monkeypatch, name, variable, said
):
    """Before any call."""
    if variable:
        monkeypatch.delenv(variable)
    with pytest.raises(CallbotError, match=said):
        make_recogniser(name)


async def test_openai_itself_needs_a_key(server, monkeypatch):
    """Other servers may need none."""
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(CallbotError, match="OPENAI_API_KEY"):
        make_recogniser("openai")
    assert make_recogniser("openai:x@http://127.0.0.1:9/v1")


async def spoken_to(recogniser, **options):
    """Ears with this recogniser, and one sentence said to them."""
    line = Listening(recogniser, language="he", **options)
    await line.hear(mulaw(mixed((0.5, said("hello, this is Dana speaking")), (3.5, silence(0.5)))))
    await line.answers()
    assert kept_contract(line.events)
    return line


async def test_ears_turn_a_callers_sentence_into_the_words_of_the_server(server, recogniser):
    """From mu-law frames to UserSpoke."""
    server.will(words(recogniser))
    line = await spoken_to(recogniser)
    assert line.words == ["שלום, אני דנה"]
    rate, seconds = server.requests[0].wav
    assert rate == 16000
    assert 2 < seconds < 3.4
    [note] = line.notes
    assert note.type == "recognised"
    assert note.data["audio_seconds"] == pytest.approx(seconds, abs=0.05)


async def test_ears_close_the_speech_when_the_server_fails(server, recogniser):
    """No words, and a note that says why: the bot asks again."""
    server.will(Answer({"error": "no"}, status=401))
    line = await spoken_to(recogniser)
    assert line.words == [""]
    [note] = line.notes
    assert note.type == "recogniser_failed"
    assert "401" in note.data["error"]


async def test_ears_do_not_wait_for_a_server_that_hangs(server, recogniser):
    """The deadline is theirs."""
    server.will(Answer({}, latency=30))
    begun = time.monotonic()
    line = await spoken_to(recogniser, patience=0.3)
    assert time.monotonic() - begun < 5
    assert line.words == [""]
    assert line.notes[0].data["error"] == "no words within 0.3 s"


async def test_a_caller_who_goes_on_while_the_server_thinks_says_one_thing(server, recogniser):
    """Two utterances, one speech, one UserSpoke with the words of both."""
    server.will(Answer(words(recogniser).body, latency=0.4))
    line = Listening(recogniser, language="he")
    sentence = said("hello, this is Dana speaking")
    await line.hear(mulaw(mixed((0.5, sentence), (4.0, silence(0.1)))))
    await line.hear(mulaw(mixed((0.1, sentence), (4.0, silence(0.1)))))
    await line.answers()
    assert kept_contract(line.events)
    assert line.words == ["שלום, אני דנה שלום, אני דנה"]
    assert len(server.requests) == 2


async def test_closing_ears_abandons_what_is_recognised(server, recogniser):
    """The caller has hung up."""
    server.will(Answer(words(recogniser).body, latency=0.3))
    line = Listening(recogniser, language="he")
    await line.hear(mulaw(mixed((0.5, said("hello, this is Dana speaking")), (3.5, silence(0.5)))))
    await line.ears.close()
    await line.hear(mulaw(silence(0.2)))
    await asyncio.sleep(0.4)
    assert line.times(UserSpoke) == []
