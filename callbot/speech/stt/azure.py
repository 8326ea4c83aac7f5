"""Azure's speech to text, uploaded while the caller speaks, so that only the last words are awaited.

The REST interface for short audio rather than Microsoft's SDK: the SDK is a native library with
threads and sockets of its own a recogniser; what it adds (partial results, audio beyond 60 s) is not
used. Facts are from Microsoft's page "Speech to text REST API for short audio": POST of WAV, 16 kHz
16-bit mono, up to 60 s; chunked, with ``Expect: 100-continue``, whose first chunk alone holds the
file's header; ``RecognitionStatus`` is Success, or NoMatch, InitialSilenceTimeout or BabbleTimeout
where no words were found, or Error.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from callbot.errors import CallbotError
from callbot.sound import AudioFormat, SpeechFailed
from callbot.speech.stt.http import Failed, HttpRecognition
from callbot.speech.stt.words import clean_words

KEY, REGION, ENDPOINT = "AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "AZURE_SPEECH_STT_ENDPOINT"
"""Environment variables. The endpoint is only for other clouds than the public one."""

_PATH = "/speech/recognition/conversation/cognitiveservices/v1"
_SPEC = re.compile(r"azure(?::(?P<locale>[a-z]{2,3}-[A-Z]{2}))?")
_LOCALES = {"he": "he-IL", "en": "en-US"}
_NO_WORDS = ("NoMatch", "InitialSilenceTimeout", "BabbleTimeout")
_TICKS = 10_000_000
"""Of 100 ns in a second: the unit of Offset and Duration."""
_MOST_PHRASES = 5
_SHORTEST_PHRASE = 0.8
"""Seconds of audio that are worth a request; the silence at the end of an utterance is shorter."""
_UNKNOWN_LENGTH = 0xFFFFFFFF
_FORMAT = AudioFormat("pcm16", 16000)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the service made of audio. ``until``: seconds of it that were heard; None for all."""

    text: str
    until: float | None


class AzureRecogniser:
    """See the module, and ``sound.Recogniser``. Raises CallbotError without a key and a region.

    ``locale``: of all utterances, such as ``he-IL``; empty for that of each call's language.
    """

    format = _FORMAT

    def __init__(self, locale: str = "") -> None:
        self.name = "azure" + (f":{locale}" if locale else "")
        self._locale = locale
        self._key = os.environ.get(KEY, "").strip()
        if not self._key or not all(33 <= ord(letter) < 127 for letter in self._key):
            raise CallbotError(f"{self.name} needs the key of an Azure Speech resource in {KEY}")
        self._url = base_url(self.name) + _PATH
        self._server = HttpRecognition(self.name, secret=self._key, advice=f"check {KEY} and {REGION}")

    @classmethod
    def from_spec(cls, spec: str) -> AzureRecogniser:
        """The recogniser of ``azure`` or ``azure:LOCALE``. Raises CallbotError."""
        parts = _SPEC.fullmatch(spec.strip())
        if parts is None:
            raise CallbotError(f'"{spec}" is no recogniser of Azure; write azure:he-IL or azure:en-US')
        return cls(parts["locale"] or "")

    def listen(self, language: str, expecting: str = "") -> AzureHearing:
        """Begin an utterance; its upload begins with its audio."""
        return AzureHearing(self, language)

    async def transcribe(self, audio: bytes | AsyncIterator[bytes], language: str) -> Heard:
        """The words of an utterance: WAV, whole or in pieces. Raises SpeechFailed."""
        locale = self._locale or _LOCALES.get(language, language)
        query = urlencode({"language": locale, "format": "simple", "profanity": "raw"})
        headers = {
            "Ocp-Apim-Subscription-Key": self._key,
            "Content-Type": "audio/wav; codecs=audio/pcm; samplerate=16000",
            "Accept": "application/json",
        }
        if not isinstance(audio, bytes):
            headers["Expect"] = "100-continue"
        return self._heard(await self._server.send(f"{self._url}?{query}", headers, audio))

    def _heard(self, answer: dict[str, Any]) -> Heard:
        status, text = answer.get("RecognitionStatus"), answer.get("DisplayText")
        if status in _NO_WORDS:
            return Heard("", None)
        if status == "Error":
            message = f"{self.name} could not recognise an utterance (RecognitionStatus: Error)"
            raise Failed(message, again=True)
        if status != "Success" or not isinstance(text, str):
            raise self._server.unreadable(answer)
        begun, lasted = answer.get("Offset"), answer.get("Duration")
        if not (isinstance(begun, int) and isinstance(lasted, int)):
            return Heard(text, None)
        return Heard(text, (begun + lasted) / _TICKS)

    async def warm(self) -> None:
        """Shake hands with the server."""
        await self._server.warm(self._url)

    async def close(self) -> None:
        """Release connections."""
        await self._server.close()


class AzureHearing:
    """One utterance, uploaded as it is spoken; sent again whole if that broke. See ``sound.Hearing``."""

    def __init__(self, recogniser: AzureRecogniser, language: str) -> None:
        self._recogniser, self._language = recogniser, language
        self._audio = bytearray()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._upload = asyncio.get_running_loop().create_task(recogniser.transcribe(self._stream(), language))

    async def _stream(self) -> AsyncIterator[bytes]:
        yield _wav_header(None)
        while piece := await self._pieces.get():
            yield piece

    def feed(self, audio: bytes) -> None:
        """Upload it."""
        if audio:
            self._audio += audio
            self._pieces.put_nowait(audio)

    async def text(self) -> str:
        """Its words. Raises SpeechFailed."""
        self._pieces.put_nowait(b"")
        try:
            heard = await self._upload
        except Failed as error:
            if not error.again:
                raise
            heard = await self._recogniser.transcribe(_wav(bytes(self._audio)), self._language)
        words, rest = [heard.text], bytes(self._audio)
        while heard.until is not None and len(words) < _MOST_PHRASES:
            # The service may answer at the caller's first pause: what followed is put to it anew.
            rest = rest[round(heard.until * _FORMAT.rate) * _FORMAT.sample_bytes :]
            if _FORMAT.seconds(len(rest)) < _SHORTEST_PHRASE:
                break
            heard = await self._recogniser.transcribe(_wav(rest), self._language)
            words.append(heard.text)
        return clean_words(" ".join(words), self._language)

    def abandon(self) -> None:
        """Stop the upload."""
        self._upload.cancel()
        self._upload.add_done_callback(_forget)


def _forget(task: asyncio.Task[Heard]) -> None:
    """Look at what an abandoned upload failed with, so that nobody is told."""
    with suppress(asyncio.CancelledError, SpeechFailed):
        task.result()


def _wav(audio: bytes) -> bytes:
    return _wav_header(len(audio)) + audio


def _wav_header(length: int | None) -> bytes:
    """Of 16-bit mono samples, ``length`` bytes of them; None where nobody knows yet."""
    data = _UNKNOWN_LENGTH if length is None else length
    riff = _UNKNOWN_LENGTH if length is None else length + 36
    rate, width = _FORMAT.rate, _FORMAT.sample_bytes
    layout = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * width, width, 8 * width)
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", data)


def base_url(name: str) -> str:
    """The server of a region, or of the endpoint that is set; ``name`` is for messages. Raises CallbotError."""
    if endpoint := os.environ.get(ENDPOINT, "").strip():
        if not endpoint.startswith(("https://", "http://")):
            raise CallbotError(f'{ENDPOINT} must begin with https://; found "{endpoint}"')
        return endpoint.rstrip("/")
    region = os.environ.get(REGION, "").strip()
    if not re.fullmatch(r"[a-z0-9]+", region):
        found = f'; found "{region}"' if region else ""
        raise CallbotError(
            f"{name} needs the region of the Speech resource in {REGION}, such as westeurope{found}"
        )
    return f"https://{region}.stt.speech.microsoft.com"
