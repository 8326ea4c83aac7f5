"""Azure's neural voices over the text-to-speech REST interface: 8 kHz mu-law, as the phone takes it.

REST rather than Microsoft's SDK: the SDK is a native library of its own threads and sockets, and
what it adds (word events) is not used. Facts of the interface are from Microsoft's page "Text to
speech REST API": POST /cognitiveservices/v1 with SSML, the key in Ocp-Apim-Subscription-Key, the
format in X-Microsoft-OutputFormat, a User-Agent below 255 characters.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncGenerator
from contextlib import aclosing

from callbot import __version__
from callbot.errors import CallbotError
from callbot.fields import printable
from callbot.sound import PHONE
from callbot.speech.tts.http import HttpSpeech

KEY, REGION, ENDPOINT = "AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "AZURE_SPEECH_TTS_ENDPOINT"
"""Environment variables. The endpoint is only for other clouds than the public one."""

_OUTPUT = "raw-8khz-8bit-mono-mulaw"
_SPEC = re.compile(
    r"azure:(?P<voice>(?P<locale>[a-z]{2,3}-[A-Z]{2}(?:-[a-z]+)?)-[A-Za-z0-9:_-]+)(?:/(?P<rate>[+-]\d{1,3}%))?"
)
_SYNTHESIS = "http://www.w3.org/2001/10/synthesis"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_LOCALES = {"he": "he-IL", "en": "en-US"}
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class AzureVoice:
    """One of Azure's voices; see ``sound.Voice``. Raises CallbotError without a key and a region.

    ``rate``: how much faster or slower than usual it speaks, such as ``-10%``.
    """

    format = PHONE

    def __init__(self, voice: str, locale: str, rate: str = "") -> None:
        self.name = f"azure:{voice}" + (f"/{rate}" if rate else "")
        self._voice, self._locale, self._rate = voice, locale, rate
        self._key = os.environ.get(KEY, "").strip()
        if not self._key or not all(33 <= ord(letter) < 127 for letter in self._key):
            raise CallbotError(f"{self.name} needs the key of an Azure Speech resource in {KEY}")
        self._url = f"{base_url(self.name)}/cognitiveservices/v1"
        self._server = HttpSpeech(self.name, PHONE, secret=self._key, advice=f"check {KEY} and {REGION}")

    @classmethod
    def from_spec(cls, spec: str) -> AzureVoice:
        """The voice of ``azure:VOICE`` or ``azure:VOICE/RATE``. Raises CallbotError."""
        parts = _SPEC.fullmatch(spec.strip())
        if parts is None:
            raise CallbotError(
                f'"{spec}" is no voice of Azure; write azure:LOCALE-NAME such as azure:he-IL-HilaNeural, '
                "with /-10% behind it to speak slower"
            )
        return cls(parts["voice"], parts["locale"], parts["rate"] or "")

    async def synthesise(self, text: str, language: str) -> AsyncGenerator[bytes, None]:
        """Speak; see ``sound.Voice``."""
        headers = {
            "Ocp-Apim-Subscription-Key": self._key,
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": _OUTPUT,
            "User-Agent": f"callbot/{__version__}",
        }
        async with aclosing(self._server.post(self._url, headers, self._ssml(text, language))) as pieces:
            async for piece in pieces:
                yield piece

    def _ssml(self, text: str, language: str) -> bytes:
        """The sentence as SSML; a multilingual voice is told when the language is not its own."""
        speak = ET.Element("speak", {"version": "1.0", "xmlns": _SYNTHESIS, _XML_LANG: self._locale})
        inner = ET.SubElement(speak, "voice", {"name": self._voice})
        locale = _LOCALES.get(language, self._locale)
        if "Multilingual" in self._voice and not self._locale.startswith(language):
            inner = ET.SubElement(inner, "lang", {_XML_LANG: locale})
        if self._rate:
            inner = ET.SubElement(inner, "prosody", {"rate": self._rate})
        inner.text = _NO_XML.sub("", printable(text))
        return ET.tostring(speak, encoding="unicode").encode()

    async def warm(self) -> None:
        """Shake hands with the server."""
        await self._server.warm(self._url)

    async def close(self) -> None:
        """Release connections."""
        await self._server.close()


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
    return f"https://{region}.tts.speech.microsoft.com"
