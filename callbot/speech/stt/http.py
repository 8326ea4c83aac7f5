"""One utterance over HTTP, on the time scale of a phone call: deadlines, one retry, faults in words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from callbot.fields import printable
from callbot.sound import SpeechFailed
from callbot.tls import trusted

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""For the connection, and for the answer once all audio was sent."""

_RETRY_WITHIN = 1.5
"""Seconds within which a failure may be tried once more without a long silence."""
_KEEP_ALIVE_SECONDS = 60.0
"""Longer than a turn of the bot's."""
_TEMPORARY = frozenset({408, 500, 502, 503, 504})


class Failed(SpeechFailed):
    """A request that failed. ``again``: another may not."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


class HttpRecognition:
    """Asks one server for words. ``name``: the recogniser, for messages; ``secret``: never in any of them.

    ``advice``: what to check when the key is refused.
    """

    def __init__(self, name: str, *, secret: str, advice: str) -> None:
        self._name, self._secret, self._advice = name, secret, advice
        timeout = httpx2.Timeout(
            connect=CONNECT_SECONDS, read=ANSWER_SECONDS, write=CONNECT_SECONDS, pool=CONNECT_SECONDS
        )
        limits = httpx2.Limits(
            max_connections=1000, max_keepalive_connections=200, keepalive_expiry=_KEEP_ALIVE_SECONDS
        )
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, verify=trusted())

    async def send(
        self, url: str, headers: Mapping[str, str], content: bytes | AsyncIterator[bytes]
    ) -> dict[str, Any]:
        """The JSON object that the server answers a POST with. Raises Failed."""
        try:
            response = await self._client.post(url, headers=dict(headers), content=content)
        except httpx2.TimeoutException as error:
            raise Failed(f"{self._name} did not answer in time", again=False) from error
        except (httpx2.HTTPError, OSError) as error:
            raise Failed(
                f"{self._name}: the connection failed ({type(error).__name__})", again=True
            ) from error
        if response.status_code != httpx2.codes.OK:
            raise self._refusal(response)
        try:
            answer = json.loads(response.content)
        except ValueError as error:
            raise Failed(f"{self._name} sent what is no JSON", again=True) from error
        if not isinstance(answer, dict):
            raise Failed(f"{self._name} sent no JSON object", again=False)
        return answer

    async def send_patiently(self, url: str, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
        """``send``, and once more if that failed fast and may go better."""
        begun = time.monotonic()
        try:
            return await self.send(url, headers, content)
        except Failed as error:
            if not error.again or time.monotonic() - begun > _RETRY_WITHIN:
                raise
        return await self.send(url, headers, content)

    def unreadable(self, answer: Mapping[str, Any]) -> SpeechFailed:
        """An answer without the words it should hold. Its keys are named, never what a caller said."""
        return SpeechFailed(f"{self._name} sent an answer without words (it holds: {', '.join(answer)})")

    def _refusal(self, response: httpx2.Response) -> Failed:
        status = response.status_code
        said = " ".join(printable(response.text).split()).replace(self._secret, "***")
        message = f"{self._name} answered {status} {response.reason_phrase}".rstrip()
        if status in (401, 403):
            message += f": {self._advice}"
        elif said and status not in _TEMPORARY:
            message += f": {said[:200]}"
        return Failed(message, again=status in _TEMPORARY)

    async def warm(self, url: str) -> None:
        """Shake hands before the first utterance. Failures show when it is recognised."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._client.head(url)
        except (httpx2.HTTPError, OSError, TimeoutError):
            return

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()
