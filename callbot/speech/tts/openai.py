"""OpenAI's speech endpoint, or any server that speaks it, streaming 24 kHz PCM.

Asked over plain HTTP: for one POST the SDK would cost a second to import. The shape of the request
is that of ``types/audio/speech_create_params.py`` in the openai SDK 3.54. OpenAI has announced the
end of its own models on this endpoint for 2027-01-06.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit

from callbot.errors import CallbotError
from callbot.fields import printable
from callbot.sound import AudioFormat
from callbot.speech.tts.http import HttpSpeech, Refused

KEY, BASE_URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_DEFAULT_URL = "https://api.openai.com/v1"
_SPEC = re.compile(r"openai:(?P<model>[^@\s]+)/(?P<voice>[^/@\s]+)(?:@(?P<url>https?://\S+))?")
_BAD_REQUEST = (400, 422)


class OpenAIVoice:
    """A model's voice behind ``/audio/speech``; see ``sound.Voice``.

    Raises CallbotError without a key for OpenAI itself; other servers may need none.
    """

    format = AudioFormat("pcm16", 24000)

    def __init__(self, model: str, voice: str, base_url: str | None = None) -> None:
        self.name = f"openai:{model}/{voice}" + (f"@{base_url}" if base_url else "")
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
        self._headers = {
            "Authorization": f"Bearer {key or 'no-key-needed'}",
            "Content-Type": "application/json",
        }
        self._model, self._voice = model, voice
        self._url = f"{url.geturl().rstrip('/')}/audio/speech"
        self._asks_to_stream = True
        self._server = HttpSpeech(self.name, self.format, secret=key or "\0", advice=f"check {KEY}")

    @classmethod
    def from_spec(cls, spec: str) -> OpenAIVoice:
        """The voice of ``openai:MODEL/VOICE`` or ``openai:MODEL/VOICE@BASE_URL``. Raises CallbotError."""
        parts = _SPEC.fullmatch(spec.strip())
        if parts is None:
            raise CallbotError(
                f'"{spec}" is no voice; write openai:MODEL/VOICE or openai:MODEL/VOICE@http://HOST/v1'
            )
        return cls(parts["model"], parts["voice"], parts["url"])

    async def synthesise(self, text: str, language: str) -> AsyncGenerator[bytes, None]:
        """Speak; see ``sound.Voice``."""
        streamed = self._asks_to_stream
        try:
            async with aclosing(
                self._server.post(self._url, self._headers, self._body(text, streamed=streamed))
            ) as pieces:
                async for piece in pieces:
                    yield piece
            return
        except Refused as refusal:  # comes before any audio
            if not (streamed and refusal.status in _BAD_REQUEST and "stream_format" in refusal.said):
                raise
            self._asks_to_stream = False  # a server that does not know the option; it streams or does not
        async with aclosing(
            self._server.post(self._url, self._headers, self._body(text, streamed=False))
        ) as pieces:
            async for piece in pieces:
                yield piece

    def _body(self, text: str, *, streamed: bool) -> bytes:
        body = {
            "model": self._model,
            "voice": self._voice,
            "input": printable(text),
            "response_format": "pcm",
        }
        if streamed:
            body["stream_format"] = "audio"
        return json.dumps(body).encode()

    async def warm(self) -> None:
        """Shake hands with the server."""
        await self._server.warm(self._url)

    async def close(self) -> None:
        """Release connections."""
        await self._server.close()
