"""Chat completions of OpenAI, or of any server that speaks them, on the time scale of a phone call.

One streamed request per answer. What a server cannot do (strict JSON Schema, token counts, a
reasoning effort, ...) is learnt from its refusals and remembered, so that one class serves OpenAI,
vLLM, Ollama, llama.cpp and LM Studio without a table of their abilities.

Protocol facts are from the types of the openai SDK 3.54: `completion_create_params.py`,
`chat_completion_chunk.py`, `shared/chat_model.py`. The SDK is imported when a model is made: it
costs a second that `callbot --help` must not pay.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from callbot.errors import CallbotError
from callbot.models.base import (
    ChatRequest,
    Delta,
    Finished,
    Misconfigured,
    Passing,
    ProviderError,
    RateLimited,
    Request,
)
from callbot.models.messages import alternating, contract_of, messages_of
from callbot.models.openai_wire import Dialect, Trouble, read_chunk, trouble_of
from callbot.tls import trusted

DEFAULT_MODEL = "gpt-6-luna"
"""The small current model of the SDK's list."""

CONNECT_SECONDS = 2.0
"""For one TCP or TLS handshake: a server slower than that is not one to talk through."""

KEEP_ALIVE_SECONDS = 60.0
"""The SDK drops idle connections after 5 s, less than a turn of speech: every turn would shake hands anew."""

_AFTERMATH_SECONDS = 0.25
"""Wait for token counts once the answer is complete."""

_LEAST_ANSWER_SECONDS = 0.3
"""A retry that leaves less than this is not worth making."""

_FIRST_BACKOFF, _LAST_BACKOFF = 0.2, 8.0
"""Seconds before a retry when the server names none; doubled each time."""

_SPEC = re.compile(r"openai(?::(?P<name>.*?))?(?:@(?P<url>https?://.*))?", re.DOTALL | re.IGNORECASE)
_REASONING = re.compile(r"(?:.*/)?(?:gpt-(?:[5-9]|\d\d)(?!.*-chat)|o[1-9])(?:$|[-.])")
"""Families that reason: their names in the SDK's ChatModel, with a router's vendor prefix or without."""

_END: object = object()

_log = logging.getLogger(__name__)


class OpenAIModel:
    """A dialogue model behind chat completions; see ``models/base.Model``.

    ``retries``: tries after the first, within each request's budget and only before the first word.
    ``stall_after``: seconds of nothing on the wire after which a try is given up (at least 60% of
    the budget is waited). ``seed`` is passed on to servers that take one. The temperature is the
    server's own: reasoning models refuse any other. Raises Misconfigured without a usable key.
    """

    latency: float | None = None
    uses_prompt = True

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        seed: int | None = None,
        retries: int = 1,
        stall_after: float = 3.0,
    ) -> None:
        base_url = base_url or _usual_address()
        self.name = f"openai:{model}" + (f"@{base_url}" if base_url else "")
        self._host = _checked_host(base_url) if base_url else "api.openai.com"
        key = _checked_key(api_key or os.environ.get("OPENAI_API_KEY", ""), self._host, self.name)
        self._model = model
        self._seed = seed
        self._retries = retries
        self._stall_after = stall_after
        self._dialect = Dialect()
        if _REASONING.match(model):
            self._dialect = replace(self._dialect, effort=("none", "minimal", "low", ""))

        import httpx2
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        limits = httpx2.Limits(
            max_connections=1000, max_keepalive_connections=200, keepalive_expiry=KEEP_ALIVE_SECONDS
        )
        self._client = AsyncOpenAI(
            api_key=key,
            base_url=base_url or "https://api.openai.com/v1",
            max_retries=0,  # its own retries know no deadline and obey Retry-After for two minutes
            http_client=DefaultAsyncHttpxClient(limits=limits, verify=trusted()),
        )

    @classmethod
    def from_spec(cls, spec: str, *, seed: int | None = None, retries: int = 1) -> OpenAIModel:
        """The model of ``openai``, ``openai:NAME`` or ``openai:NAME@BASE_URL``. Raises CallbotError."""
        name, url = _parts(spec)
        return cls(name, base_url=url, seed=seed, retries=retries)

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def warm(self) -> None:
        """Open a connection before a caller waits for one; whatever the server says to it will do."""
        import httpx2
        from openai import OpenAIError

        timeout = httpx2.Timeout(2 * CONNECT_SECONDS, connect=CONNECT_SECONDS)
        with suppress(OpenAIError):
            await self._client.get(
                "/models",
                cast_to=object,
                options={"timeout": timeout, "security": {"bearer_auth": True}},
            )

    async def stream(self, request: Request | ChatRequest) -> AsyncGenerator[Delta | Finished]:
        """Answer one request; see ``models/base.Model``. Raises ProviderError, or Misconfigured."""
        deadline = _now() + request.seconds_left
        patience = max(self._stall_after, 0.6 * request.seconds_left)
        tries_left = self._retries
        while True:
            dialect, begun = self._dialect, False
            answer = self._answer(request, dialect, deadline, patience, last=tries_left == 0)
            try:
                async with aclosing(answer):
                    async for piece in answer:
                        begun = True
                        yield piece
                return
            except Trouble as caught:
                trouble = caught
            if not begun and trouble.filtered:
                yield Finished(reason="content_filter", detail=trouble.said)
                return
            if not begun and self._learns(trouble.complaint, dialect):
                continue
            if begun or trouble.fatal or not trouble.retry or not tries_left:
                raise _failure(trouble, trouble.said) from trouble.__cause__
            wait = trouble.retry_after
            if wait is None:
                backoff = _FIRST_BACKOFF * 2 ** (self._retries - tries_left)
                wait = random.uniform(0.5, 1) * min(backoff, _LAST_BACKOFF)  # noqa: S311 - jitter, no secret
            left = deadline - _now()
            if wait + _LEAST_ANSWER_SECONDS > left:
                asks = f"; it asks to wait {wait:.3g} s" if trouble.retry_after else ""
                raise _failure(trouble, f"{trouble.said}{asks}, and {max(left, 0):.1f} s are left")
            await asyncio.sleep(wait)
            tries_left -= 1

    async def _answer(
        self,
        request: Request | ChatRequest,
        dialect: Dialect,
        deadline: float,
        patience: float,
        *,
        last: bool,
    ) -> AsyncGenerator[Delta | Finished]:
        """One try: deltas and a Finished, or Trouble."""
        body = self._body(request, dialect)
        text: list[str] = []
        refusal: list[str] = []
        finish: str | None = None
        tokens = (0, 0, 0)
        stream: Any = None
        try:
            until = deadline if last else min(deadline, _now() + patience)
            stream = await self._wire(self._post(body, deadline), until, deadline)
            while True:
                if finish is not None:
                    until = min(deadline, _now() + _AFTERMATH_SECONDS)
                elif text or not last:
                    until = min(deadline, _now() + patience)
                try:
                    chunk = await self._wire(anext(stream, _END), until, deadline)
                except Trouble:
                    if finish is None:
                        raise
                    break  # the answer was whole; only its token counts were lost
                if chunk is _END:
                    break
                piece = read_chunk(chunk)
                tokens = piece.tokens or tokens
                finish = piece.finish or finish
                if piece.refusal:
                    refusal.append(piece.refusal)
                if piece.text:
                    text.append(piece.text)
                    yield Delta(piece.text)
        finally:
            if stream is not None:
                with suppress(Exception):  # a broken connection need not close well
                    await stream.close()
        if refusal:
            yield _finished("refusal", tokens, "".join(refusal))
        elif finish in ("length", "content_filter"):
            yield _finished(finish, tokens)
        elif finish is not None or _is_json("".join(text)):  # some servers just close after the last word
            yield _finished("stop", tokens)
        elif text:
            raise Trouble(f"{self._host} broke off in the middle of an answer", retry=True)
        else:
            raise Trouble(f"{self._host} sent no answer that can be read", retry=True)

    async def _post(self, body: dict[str, Any], deadline: float) -> Any:
        """A stream of chunks as plain JSON data.

        The client's ``post`` rather than ``chat.completions.create``: the latter walks every request
        and builds a tree of models for every token, nearly half of an answer's processor time.
        """
        import httpx2
        from openai import AsyncStream

        left = max(deadline - _now(), 0.001)
        return await self._client.post(
            "/chat/completions",
            body=body,
            cast_to=object,
            options={
                "timeout": httpx2.Timeout(left, connect=min(CONNECT_SECONDS, left)),
                "security": {"bearer_auth": True},
            },
            stream=True,
            stream_cls=AsyncStream[object],
        )

    def _body(self, request: Request | ChatRequest, dialect: Dialect) -> dict[str, Any]:
        name, schema = contract_of(request)
        messages = messages_of(request, schema=None if dialect.format[0] == "json_schema" else schema)
        if dialect.roles[0] == "alternating":
            messages = alternating(messages)
        body: dict[str, Any] = {"model": self._model, "messages": messages, "stream": True}
        match dialect.format[0]:
            case "json_schema":
                strict = {"name": name, "strict": True, "schema": schema}
                body["response_format"] = {"type": "json_schema", "json_schema": strict}
            case "json_object":
                body["response_format"] = {"type": "json_object"}
        if dialect.usage[0]:
            body["stream_options"] = {"include_usage": True}
        if dialect.effort[0]:
            body["reasoning_effort"] = dialect.effort[0]
        if self._seed is not None and dialect.seed[0]:
            body["seed"] = self._seed
        return body

    async def _wire(self, step: Awaitable[Any], until: float, deadline: float) -> Any:
        """Await one step on the wire until a moment of the loop's clock. Raises Trouble."""
        try:
            async with asyncio.timeout_at(until):
                return await step
        except TimeoutError as error:
            spent = "did not answer within the turn's budget" if until >= deadline else "went quiet"
            raise Trouble(f"{self._host} {spent}", retry=until < deadline, retry_after=0) from error
        except Exception as error:
            # Whatever the SDK lets through here (its own errors, its HTTP library's, JSON's, ...)
            # is to a caller the same thing: the provider did not answer.
            raise trouble_of(error, self._host, self._model) from error

    def _learns(self, complaint: str, sent: Dialect) -> bool:
        """Whether a refusal says what to leave out; if so it is left out from now on."""
        refused = sent.after(complaint)
        if refused is None:
            return False
        option, poorer = refused
        known = self._dialect
        self._dialect = known.common(poorer)
        if self._dialect != known:  # requests in flight together are refused together
            _log.warning('%s refused "%s"; asking without it', self._host, getattr(sent, option)[0])
        return True


def _failure(trouble: Trouble, said: str) -> ProviderError:
    if trouble.fatal:
        return Misconfigured(said)
    if trouble.limited:
        return RateLimited(said, trouble.retry_after)
    return Passing(said) if trouble.retry else ProviderError(said)


def _finished(reason: str, tokens: tuple[int, int, int], detail: str = "") -> Finished:
    read, written, cached = tokens
    return Finished(reason, read, written, detail, cached)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def full_name(spec: str) -> str:
    """What a model made from ``spec`` is called; needs no key. Raises CallbotError."""
    name, url = _parts(spec)
    url = url or _usual_address()
    if url:
        _checked_host(url)
    return f"openai:{name}" + (f"@{url}" if url else "")


def _parts(spec: str) -> tuple[str, str | None]:
    parts = _SPEC.fullmatch(spec.strip())
    name, url = (parts["name"], parts["url"]) if parts else ("", None)
    if parts and name is None and url is None:
        return DEFAULT_MODEL, None
    if not name:
        raise CallbotError(f'"{spec}" names no model; write openai:NAME or openai:NAME@http://HOST/v1')
    if url is None and "@" in name[1:]:
        raise CallbotError(f'in "{spec}" the address after @ must begin with http:// or https://')
    return name, url


def _usual_address() -> str | None:
    return os.environ.get("OPENAI_BASE_URL", "").strip() or None


def _checked_host(base_url: str) -> str:
    url = urlsplit(base_url)
    if not url.hostname:
        raise CallbotError(f'"{base_url}" is no address of a server; write http://HOST/v1')
    if url.username or url.password or url.query:
        raise CallbotError(
            "a model's address is written into records and reports: leave user, password and query out of it "
            "and put the key into OPENAI_API_KEY"
        )
    return url.netloc


def _checked_key(key: str, host: str, name: str) -> str:
    key = key.strip()
    if not all(33 <= ord(letter) < 127 for letter in key):
        raise Misconfigured("OPENAI_API_KEY holds characters that no key has; copy it again")
    if not key and host.endswith("openai.com"):
        raise Misconfigured(
            f'"{name}" needs a key: set OPENAI_API_KEY, or name a compatible server as '
            "openai:NAME@http://HOST/v1, or use the model offline"
        )
    return key or "no-key-needed"
