"""One sentence over HTTP as a stream of audio, on the time scale of a phone call.

What all providers have in common: deadlines, one retry while nobody waits long, refusals in words,
and answers that are not the audio that was asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

import httpx2

from callbot.fields import printable
from callbot.sound import AudioFormat, SpeechFailed
from callbot.speech.audio import UnreadableAudio, read_audio
from callbot.tls import trusted

CONNECT_SECONDS = 2.0
FIRST_BYTE_SECONDS = 5.0
STALL_SECONDS = 3.0
"""For the connection, for the answer to begin, and between two pieces of it."""

_RETRY_WITHIN = 1.0
"""Seconds within which a failure may be tried once more without the caller noticing."""

_KEEP_ALIVE_SECONDS = 60.0
"""Longer than a turn of the caller's."""

_CONTAINERS = (b"RIFF", b"OggS", b"ID3", b"fLaC")
"""How audio files begin; played as raw samples the header would be a crack and the rest noise."""

_FILE_TYPES = ("audio/mpeg", "audio/mp3", "audio/ogg", "audio/flac")
_NOT_AUDIO = ("text/", "application/json", "application/xml", "image/")
_TEMPORARY = frozenset({408, 500, 502, 503, 504})

_log = logging.getLogger(__name__)


class Refused(SpeechFailed):
    """The server answered with an error. ``said``: what it said, without the key."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status = status
        self.said = said


class HttpSpeech:
    """Asks one server for speech. ``name``: the voice, for messages; ``secret``: never in any of them.

    ``advice``: what to check when the key is refused.
    """

    def __init__(self, name: str, format: AudioFormat, *, secret: str, advice: str) -> None:
        self._name, self._format, self._secret, self._advice = name, format, secret, advice
        timeout = httpx2.Timeout(
            connect=CONNECT_SECONDS, read=FIRST_BYTE_SECONDS, write=CONNECT_SECONDS, pool=CONNECT_SECONDS
        )
        limits = httpx2.Limits(
            max_connections=1000, max_keepalive_connections=200, keepalive_expiry=_KEEP_ALIVE_SECONDS
        )
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, verify=trusted())

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> AsyncGenerator[bytes, None]:
        """The audio that the server answers with, in the voice's format. Raises SpeechFailed."""
        begun = time.monotonic()
        try:
            response = await self._send(url, headers, content)
        except SpeechFailed as error:
            lasting = isinstance(error, Refused) and error.status not in _TEMPORARY
            if lasting or time.monotonic() - begun > _RETRY_WITHIN:
                raise
            response = await self._send(url, headers, content)
        try:
            async with aclosing(self._audio(response)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            with suppress(httpx2.HTTPError, OSError):
                await response.aclose()

    async def _send(self, url: str, headers: Mapping[str, str], content: bytes) -> httpx2.Response:
        """A response whose status is 200 and whose body is still to come."""
        request = self._client.build_request("POST", url, headers=dict(headers), content=content)
        try:
            async with asyncio.timeout(FIRST_BYTE_SECONDS):
                response = await self._client.send(request, stream=True)
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            raise self._lost(error) from error
        if response.status_code == httpx2.codes.OK:
            return response
        try:
            async with asyncio.timeout(STALL_SECONDS):
                body = await response.aread()
        except (httpx2.HTTPError, TimeoutError, OSError):
            body = b""
        finally:
            with suppress(httpx2.HTTPError, OSError):
                await response.aclose()
        raise self._refusal(response, body)

    async def _audio(self, response: httpx2.Response) -> AsyncGenerator[bytes, None]:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith(_NOT_AUDIO):
            raise SpeechFailed(f"{self._name} sent {kind} instead of audio")
        held, whole_file, sent = b"", kind in _FILE_TYPES, 0
        pieces = response.aiter_bytes()
        while True:
            try:
                async with asyncio.timeout(STALL_SECONDS if sent or held else FIRST_BYTE_SECONDS):
                    piece = await anext(pieces, None)
            except (httpx2.HTTPError, TimeoutError, OSError) as error:
                raise self._lost(error, after=sent or len(held)) from error
            if piece is None:
                break
            if sent:
                sent += len(piece)
                yield piece
                continue
            held += piece
            whole_file = whole_file or held.startswith(_CONTAINERS)
            if whole_file or any(start.startswith(held) for start in _CONTAINERS):
                continue
            sent = len(held)
            yield held
        if not held:
            raise SpeechFailed(f"{self._name} sent no audio")
        if not sent:
            yield self._unpacked(held) if whole_file else held

    def _unpacked(self, file: bytes) -> bytes:
        """The audio inside a file, where bare samples were asked for."""
        _log.warning("%s sends a file (%r...) instead of bare samples", self._name, file[:4])
        try:
            return read_audio(file, self._format)
        except UnreadableAudio as error:
            raise SpeechFailed(f"{self._name} sent a file that holds {error}") from error

    def _lost(self, error: Exception, after: int | None = None) -> SpeechFailed:
        where = "" if after is None else f" after {after} bytes"
        if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
            return SpeechFailed(f"{self._name} did not answer in time{where}")
        return SpeechFailed(f"{self._name}: the connection failed{where} ({type(error).__name__})")

    def _refusal(self, response: httpx2.Response, body: bytes) -> Refused:
        status = response.status_code
        said = " ".join(printable(body.decode("utf-8", "replace")).split()).replace(self._secret, "***")
        message = f"{self._name} answered {status} {response.reason_phrase}".rstrip()
        if status in (401, 403):
            message += f": {self._advice}"
        elif status == httpx2.codes.TOO_MANY_REQUESTS and (wait := response.headers.get("retry-after")):
            message += f" (it asks to wait {wait} s)"
        elif said and status not in _TEMPORARY:
            message += f": {said[:200]}"
        return Refused(message, status, said)

    async def warm(self, url: str) -> None:
        """Shake hands before the first sentence. Failures show when it speaks."""
        with suppress(httpx2.HTTPError, OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._client.head(url)

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()
