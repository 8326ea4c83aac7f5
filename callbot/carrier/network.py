"""Twilio's HTTP towards a bot: signed webhooks with its timeouts and retries, cached audio, callbacks.

Connect 5 s, the whole answer 15 s, one retry when the connection fails; a URL's fragment overrides
that (``#ct=2000&rt=5000&tt=8000&rc=2&rp=all``, milliseconds, as Twilio's connection overrides do).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2

from callbot.carrier.signature import HEADER, sign, signed_url
from callbot.carrier.sound import played
from callbot.carrier.trouble import HTTP_FAILED, UNREACHABLE, TwilioError
from callbot.errors import CallbotError

_BIGGEST_AUDIO = 40 * 60 * 8000 * 2
AGENT = "TwilioProxy/1.1"


class Unreachable(TwilioError):
    """Nobody answers at the bot's address."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """How long and how often a URL is tried. Seconds."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, url: str) -> Overrides:
        """What the fragment of a URL asks for. Raises TwilioError for a value out of range."""
        given = {name: values[-1] for name, values in parse_qs(urlsplit(url).fragment).items()}

        def bounded(name: str, low: int, high: int, default: int) -> int:
            text = given.get(name, str(default))
            if not text.isdigit() or not low <= int(text) <= high:
                raise TwilioError(None, f"{url}: #{name}= must be {low} to {high}; found {text}")
            return int(text)

        return cls(
            connect=bounded("ct", 100, 10000, 5000) / 1000,
            read=bounded("rt", 100, 15000, 15000) / 1000,
            total=bounded("tt", 100, 15000, 15000) / 1000,
            retries=bounded("rc", 0, 5, 1),
            policy=frozenset(given.get("rp", "ct").split(",")),
        )

    def retries_after(self, failure: str) -> bool:
        """Whether a failure (``ct``, ``rt``, ``4xx``, ``5xx``) is tried again."""
        return failure in self.policy or "all" in self.policy


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL really is: ``--connect`` sends the bot's public host to a port of this machine."""

    public_host: str = ""
    connect: tuple[str, int] | None = None

    def maps(self, url: str) -> bool:
        """Whether this URL is sent elsewhere."""
        return self.connect is not None and urlsplit(url).netloc.rpartition("@")[2] == self.public_host

    def of(self, url: str) -> str:
        """The URL to open, over plain HTTP if it is mapped."""
        parts = urlsplit(url)
        if self.connect is None or not self.maps(url):
            return parts._replace(fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl()
        scheme = {"https": "http", "wss": "ws"}.get(parts.scheme, parts.scheme)
        host, port = self.connect
        return parts._replace(scheme=scheme, netloc=f"{host}:{port}", fragment="").geturl()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bot answered."""

    status: int
    content_type: str
    body: bytes
    seconds: float


@dataclass(slots=True)
class _Cached:
    validators: dict[str, str]
    revalidate: bool
    audio: bytes


@dataclass(slots=True)
class Network:
    """The carrier's HTTP client. Use it as an async context manager."""

    token: str
    address: Address = Address()
    _client: httpx2.AsyncClient = field(
        default_factory=lambda: httpx2.AsyncClient(
            trust_env=False, headers={"User-Agent": AGENT}, limits=httpx2.Limits(max_connections=None)
        )
    )
    _audio: dict[str, _Cached] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def webhook(
        self, url: str, fields: Mapping[str, str], method: str = "POST", *, signature: str | None = None
    ) -> Answer:
        """Ask the bot. ``signature``: another than the right one.

        Raises TwilioError: 11200 for a status that is no success, 11205 (Unreachable) for no answer.
        """
        if method == "GET":
            query = str(httpx2.URL(url).copy_merge_params(dict(fields)))
            headers = {HEADER: signature or sign(self.token, query)}
            return _successful(await self._send("GET", query, headers), url)
        headers = {HEADER: signature or sign(self.token, url, fields)}
        return _successful(await self._send("POST", url, headers, fields), url)

    async def post(self, url: str, fields: Mapping[str, str], signature: str) -> Answer:
        """Post with any signature, and return whatever comes back. Raises Unreachable."""
        return await self._send("POST", url, {HEADER: signature}, fields)

    async def audio(self, url: str) -> bytes:
        """A file for ``<Play>`` as mu-law, from the cache if it may be. Raises TwilioError."""
        known = self._audio.get(url)
        if known and not known.validators and not known.revalidate:
            return known.audio
        headers = {HEADER: sign(self.token, url), **(known.validators if known else {})}
        response = await self._request("GET", url, headers, None)
        if known and response.status_code == httpx2.codes.NOT_MODIFIED:
            return known.audio
        if not response.is_success:
            raise TwilioError(HTTP_FAILED, f"<Play> {url}: the bot answered {response.status_code}")
        if len(response.content) > _BIGGEST_AUDIO:
            raise TwilioError(HTTP_FAILED, f"<Play> {url}: more than 40 minutes of audio")
        content_type = response.headers.get("content-type", "")
        audio = await asyncio.to_thread(played, response.content, content_type, url)
        pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
        validators = {ask: response.headers[has] for ask, has in pairs if has in response.headers}
        revalidate = "no-cache" in response.headers.get("cache-control", "")
        if validators or not revalidate:
            self._audio[url] = _Cached(validators, revalidate, audio)
        return audio

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], fields: Mapping[str, str] | None = None
    ) -> Answer:
        began = time.perf_counter()
        response = await self._request(method, url, headers, fields)
        content_type = response.headers.get("content-type", "")
        return Answer(response.status_code, content_type, response.content, time.perf_counter() - began)

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], fields: Mapping[str, str] | None
    ) -> httpx2.Response:
        """One request with its retries. Raises Unreachable."""
        overrides = Overrides.of(url)
        tries = overrides.retries + 1
        while True:
            tries -= 1
            failure, why, response = "", "", None
            try:
                async with asyncio.timeout(overrides.total):
                    response = await self._once(method, url, headers, fields, overrides)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure, why = "ct", str(error) or "connecting took too long"
            except (httpx2.TimeoutException, TimeoutError):
                failure, why = "rt", f"no answer within {overrides.total:g} s"
            except httpx2.InvalidURL as error:
                raise CallbotError(f"{url}: {error}") from error
            except httpx2.RequestError as error:
                failure, why = "ct", str(error) or type(error).__name__
            if response is not None:
                failure = f"{response.status_code // 100}xx" if response.status_code >= 400 else ""
            if not failure or not tries or not overrides.retries_after(failure):
                if response is not None:
                    return response
                raise Unreachable(UNREACHABLE, f"{signed_url(url)}: {why}")

    async def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        fields: Mapping[str, str] | None,
        overrides: Overrides,
    ) -> httpx2.Response:
        parts = urlsplit(url)
        auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        public = parts.netloc.rpartition("@")[2]
        return await self._client.request(
            method,
            self.address.of(url),
            headers={**headers, "Host": public},
            data=dict(fields) if fields is not None else None,
            auth=auth,
            timeout=httpx2.Timeout(overrides.read, connect=overrides.connect),
            follow_redirects=method == "GET",
        )


def _successful(answer: Answer, url: str) -> Answer:
    if 200 <= answer.status < 300:
        return answer
    start = answer.body[:200].decode("utf-8", "replace").strip()
    raise TwilioError(HTTP_FAILED, f"{signed_url(url)} answered {answer.status}: {start}")
