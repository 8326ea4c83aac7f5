"""OpenAI's transcription endpoint, or any server that speaks it: one WAV file an utterance.

Asked over plain HTTP: for one POST the SDK would cost a second to import. The shape of the request
is that of ``types/audio/transcription_create_params.py`` in the openai SDK 3.54, which marks
whisper-1 and the gpt-4o family as ending on 2027-02-26.
"""

from __future__ import annotations

import os
import re
import secrets
from urllib.parse import urlsplit

from callbot.errors import CallbotError
from callbot.sound import AudioFormat
from callbot.speech.audio import wav_bytes
from callbot.speech.stt.http import HttpRecognition
from callbot.speech.stt.words import clean_words

DEFAULT_MODEL = "gpt-transcribe"
KEY, BASE_URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_DEFAULT_URL = "https://api.openai.com/v1"
_SPEC = re.compile(r"openai(?::(?P<model>[^@\s]+)(?:@(?P<url>https?://\S+))?)?")


class OpenAIRecogniser:
    """See the module, and ``sound.Recogniser``. Raises CallbotError without a key for OpenAI itself."""

    format = AudioFormat("pcm16", 16000)

    def __init__(self, model: str = DEFAULT_MODEL, base_url: str | None = None) -> None:
        self.name = f"openai:{model}" + (f"@{base_url}" if base_url else "")
        url = urlsplit(base_url or os.environ.get(BASE_URL, "").strip() or _DEFAULT_URL)
        if not url.hostname or url.username or url.query:
            raise CallbotError(
                f'"{self.name}": the address is http://HOST/v1, without user or query; the key goes into {KEY}'
            )
        key = os.environ.get(KEY, "").strip()
        if not all(33 <= ord(letter) < 127 for letter in key):
            raise CallbotError(f"{KEY} holds characters that no key has; copy it again")
        if not key and url.hostname.endswith("openai.com"):
            raise CallbotError(f'"{self.name}" needs a key: set {KEY}, or name a server with @http://HOST/v1')
        self._key, self._model = key or "no-key-needed", model
        self._url = f"{url.geturl().rstrip('/')}/audio/transcriptions"
        self._server = HttpRecognition(self.name, secret=key or "\0", advice=f"check {KEY}")

    @classmethod
    def from_spec(cls, spec: str) -> OpenAIRecogniser:
        """The recogniser of ``openai``, ``openai:MODEL`` or ``openai:MODEL@BASE_URL``. Raises CallbotError."""
        parts = _SPEC.fullmatch(spec.strip())
        if parts is None:
            raise CallbotError(
                f'"{spec}" is no recogniser; write openai:MODEL or openai:MODEL@http://HOST/v1'
            )
        return cls(parts["model"] or DEFAULT_MODEL, parts["url"])

    def listen(self, language: str, expecting: str = "") -> OpenAIHearing:
        """Begin an utterance."""
        return OpenAIHearing(self, language)

    async def transcribe(self, audio: bytes, language: str) -> str:
        """The words of a whole utterance. Raises SpeechFailed."""
        fields = {"model": self._model, "language": language, "response_format": "json"}
        content, content_type = _form(fields, wav_bytes(audio, self.format))
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": content_type}
        answer = await self._server.send_patiently(self._url, headers, content)
        if not isinstance(text := answer.get("text"), str):
            raise self._server.unreadable(answer)
        return clean_words(text, language)

    async def warm(self) -> None:
        """Shake hands with the server."""
        await self._server.warm(self._url)

    async def close(self) -> None:
        """Release connections."""
        await self._server.close()


class OpenAIHearing:
    """One utterance, sent when it is over; see ``sound.Hearing``."""

    def __init__(self, recogniser: OpenAIRecogniser, language: str) -> None:
        self._recogniser, self._language = recogniser, language
        self._audio = bytearray()

    def feed(self, audio: bytes) -> None:
        """Keep it until the utterance is over."""
        self._audio += audio

    async def text(self) -> str:
        """Its words. Raises SpeechFailed."""
        return await self._recogniser.transcribe(bytes(self._audio), self._language)

    def abandon(self) -> None:
        """Nothing is under way but by whoever awaits ``text``."""
        self._audio.clear()


def _form(fields: dict[str, str], wav: bytes) -> tuple[bytes, str]:
    """A multipart/form-data body (RFC 7578) as bytes, so that it can be sent twice, and its type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="speech.wav"\r\nContent-Type: audio/wav'
    parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + wav + f"\r\n--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"
