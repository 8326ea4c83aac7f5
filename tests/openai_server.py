"""A real HTTP server that speaks chat completions, and misbehaves when told to.

    with OpenAIServer() as server:                      # in a thread of its own, on a random port
        server.will(Reply(SAY_HELLO), Refuse(429, headers={"retry-after": "1"}), Drop())
        ...                                             # talk to server.base_url
        assert server.requests[0].body["model"] == "m"

Answers are given in the order of ``will``; when none is left, ``server.respond(body)`` makes one
(by default the same neutral reply). Refusals of options (``refuses``), keys and models come first
and use up no answer. As a program it serves until its standard input closes and prints its base
URL: ``python tests/openai_server.py --latency 0.3``.

Bytes are written by hand over asyncio streams: only so can a response break off in the middle of a
chunk. The shapes are those of the openai SDK's types (``chat_completion_chunk.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pytest


def reply_json(
    spoken: str = "Hello, how can I help?",
    *,
    end: str | None = None,
    status: str = "in_progress",
    missing: Sequence[str] = (),
    lead: Mapping[str, str | None] | None = None,
    notes: str = "",
) -> str:
    """A reply object of the contract as JSON text; ``end`` is the reason to end the call for."""
    control = {
        "should_end_call": end is not None,
        "end_reason": end,
        "lead_status": status,
        "missing_fields": list(missing),
        "notes": notes,
    }
    reply = {"spoken_reply": spoken, "control": control, "lead": dict(lead or {})}
    return json.dumps(reply, ensure_ascii=False)


@dataclass(frozen=True)
class Reply:
    """A streamed 200.

    ``chunk``: characters a delta. ``latency``, ``gap``: seconds before the headers and between
    deltas. ``finish``: the finish_reason, None to leave it out. ``refusal``: a refusal delta beside
    the text. ``cut_after``: deltas after which the connection drops in the middle of a chunk.
    ``stall_after``: deltas after which nothing more comes for ``stall`` seconds. ``raw``: this
    instead of any of it, as the body. ``done``: send [DONE]. ``close``: the connection, afterwards.
    """

    text: str = ""
    chunk: int = 16
    latency: float = 0.0
    gap: float = 0.0
    finish: str | None = "stop"
    refusal: str | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    stall: float = 0.0
    raw: bytes | None = None
    done: bool = True
    close: bool = False
    tokens: tuple[int, int] = (120, 30)
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Refuse:
    """An error status. ``message``, ``code``, ``param`` go into OpenAI's error object; or ``body``."""

    status: int
    message: str = "no"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Stall:
    """Nothing at all for this many seconds, then the connection drops."""

    seconds: float


@dataclass(frozen=True)
class Drop:
    """The connection drops without a byte."""


Answer = Reply | Refuse | Stall | Drop


@dataclass(frozen=True)
class Limit:
    """A rate limit: this many requests in any ``seconds``, and ``at_once``; more get 429.

    ``says``: send Retry-After, the seconds (at least one, as the header counts) until there is room.
    """

    requests: int
    seconds: float = 1.0
    at_once: int = 1000
    says: bool = False


@dataclass(frozen=True)
class Received:
    """A request the server got. ``at`` is of time.monotonic; ``connection`` counts from 0."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    connection: int


# What servers say when they do not take an option (OpenAI, vLLM, llama.cpp, Mistral templates).
REFUSALS: dict[str, Refuse] = {
    "json_schema": Refuse(
        400,
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        param="response_format",
    ),
    "json_object": Refuse(
        422,
        body='{"detail": [{"loc": ["body", "response_format", "type"], "msg": "must be text", "input": {}}]}',
    ),
    "stream_options": Refuse(
        400,
        body="{\"object\": \"error\", \"message\": \"[{'loc': ('stream_options',), 'msg': 'extra fields'}]\"}",
    ),
    "seed": Refuse(400, "Unsupported parameter: 'seed'", "unsupported_parameter", "seed"),
    "any reasoning_effort": Refuse(400, "Unrecognized request argument supplied: reasoning_effort"),
    "unordered roles": Refuse(
        500, "Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/..."
    ),
}


class OpenAIServer:
    """See the module. ``refuses``: keys of REFUSALS. ``efforts``: the reasoning efforts taken, all if None.

    ``key`` and ``models``: what is asked of requests, nothing if None; ``models`` are listed, too. ``limit``: how many are taken.
    """

    def __init__(
        self,
        *,
        refuses: Sequence[str] = (),
        efforts: Sequence[str] | None = None,
        key: str | None = None,
        models: Sequence[str] | None = None,
        respond: Callable[[dict[str, Any]], Answer] | None = None,
        limit: Limit | None = None,
        port: int = 0,
    ) -> None:
        self.refuses, self.efforts, self.key, self.models = set(refuses), efforts, key, models
        self.limit, self._admitted = limit, deque[float]()
        self.in_flight = self.most_in_flight = 0
        self.respond = respond or (lambda _body: Reply(reply_json()))
        self.requests: list[Received] = []
        self.refused: list[float] = []
        """When requests met the limit; of time.monotonic."""
        self._answers: list[Answer] = []
        self._port = port
        self._connections = 0
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def will(self, *answers: Answer) -> OpenAIServer:
        """Answer the next requests so."""
        self._answers.extend(answers)
        return self

    @property
    def base_url(self) -> str:
        """What goes after ``openai:NAME@``."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, "127.0.0.1", self._port, backlog=1024)
        )
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in self._open:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._open, return_exceptions=True))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        number = self._connections
        self._connections += 1
        try:
            while (received := await _read(reader, number)) is not None:
                self.requests.append(received)
                if not await self._answer(received, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, received: Received, writer: asyncio.StreamWriter) -> bool:
        """Write one response; False to drop the connection."""
        self.in_flight += 1
        try:
            answer = self._refusal(received) or self._limited()
            if answer is None:
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                answer = self._answers.pop(0) if self._answers else self.respond(received.body)
            return await self._write(answer, received, writer)
        finally:
            self.in_flight -= 1

    def _limited(self) -> Refuse | None:
        if self.limit is None:
            return None
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - self.limit.seconds:
            self._admitted.popleft()
        if len(self._admitted) < self.limit.requests and self.in_flight <= self.limit.at_once:
            self._admitted.append(now)
            return None
        self.refused.append(now)
        wait = math.ceil(self._admitted[0] + self.limit.seconds - now)
        headers = {"retry-after": str(max(wait, 1))} if self.limit.says else {}
        return Refuse(429, "Rate limit reached for requests", "rate_limit_exceeded", headers=headers)

    async def _write(self, answer: Answer, received: Received, writer: asyncio.StreamWriter) -> bool:
        match answer:
            case Drop():
                return False
            case Stall(seconds):
                await asyncio.sleep(seconds)
                return False
            case Refuse():
                error = {
                    "message": answer.message,
                    "type": "error",
                    "param": answer.param,
                    "code": answer.code,
                }
                body = (json.dumps({"error": error}) if answer.body is None else answer.body).encode()
                headers = {
                    "content-type": "application/json",
                    "content-length": str(len(body)),
                    **answer.headers,
                }
                writer.write(_head(answer.status, headers) + body)
                await writer.drain()
                return True
            case Reply():
                return await _stream(answer, received.body, writer)

    def _refusal(self, received: Received) -> Refuse | None:
        body, refuses = received.body, self.refuses
        listing = received.path == "/v1/models" and self.models is not None
        if not (listing or received.path.startswith("/v1/chat/completions")):
            return Refuse(404, body="<html>no such page</html>")
        if self.key is not None and received.headers.get("authorization") != f"Bearer {self.key}":
            return Refuse(401, f"Incorrect API key provided: {received.headers.get('authorization', '')[7:]}")
        if listing:  # GET /models
            rows = [{"id": name, "object": "model"} for name in self.models or ()]
            return Refuse(200, body=json.dumps({"object": "list", "data": rows}))
        if self.models is not None and body["model"] not in self.models:
            return Refuse(404, f"The model `{body['model']}` does not exist", "model_not_found")
        effort, kind = body.get("reasoning_effort"), body.get("response_format", {}).get("type")
        if effort and "any reasoning_effort" in refuses:
            return REFUSALS["any reasoning_effort"]
        if effort and self.efforts is not None and effort not in self.efforts:
            message = f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model."
            return Refuse(400, message, "unsupported_value", "reasoning_effort")
        for option in ("stream_options", "seed"):
            if option in body and option in refuses:
                return REFUSALS[option]
        if kind in refuses:
            return REFUSALS[kind]
        roles = [message["role"] for message in body["messages"] if message["role"] != "system"]
        if "unordered roles" in refuses and roles != (["user", "assistant"] * len(roles))[: len(roles)]:
            return REFUSALS["unordered roles"]
        return None


async def _read(reader: asyncio.StreamReader, connection: int) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(first.split()[1], headers, json.loads(body or b"{}"), time.monotonic(), connection)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _stream(reply: Reply, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(reply.latency)
    writer.write(_head(200, {"content-type": reply.content_type, "transfer-encoding": "chunked"}))
    if reply.raw is not None:
        writer.write(_chunked(reply.raw) + b"0\r\n\r\n")
        await writer.drain()
        return True
    for count, event in enumerate(_events(reply, body)):
        # The first event carries the role, so event n+1 is delta n.
        if count - 1 == reply.cut_after:
            writer.write(_chunked(event)[: len(event) // 2])
            await writer.drain()
            return False
        if count - 1 == reply.stall_after:
            await asyncio.sleep(reply.stall)
        if reply.gap and count:
            await asyncio.sleep(reply.gap)
        writer.write(_chunked(event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return not reply.close


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _events(reply: Reply, body: Mapping[str, Any]) -> Iterator[bytes]:
    def event(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
        choices = (
            [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
        )
        data = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body["model"],
            "choices": choices,
            **more,
        }
        return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"

    yield event({"role": "assistant", "content": "", "refusal": None})
    for start in range(0, len(reply.text), reply.chunk):
        yield event({"content": reply.text[start : start + reply.chunk]})
    if reply.refusal is not None:
        for word in reply.refusal.split(" "):
            yield event({"refusal": word + " "})
    if reply.finish is not None:
        yield event({}, reply.finish)
    if (body.get("stream_options") or {}).get("include_usage"):
        prompt, completion = reply.tokens
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        yield event(None, usage=usage)
    if reply.done:
        yield b"data: [DONE]\n\n"


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A server of the test's own; script it with ``will``."""
    with OpenAIServer() as server:
        yield server


def main() -> None:
    """Serve one reply to everybody until standard input closes."""
    options = argparse.ArgumentParser()
    options.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--reply", default=reply_json(), help="the text of every answer")
    chosen = options.parse_args()
    reply = Reply(chosen.reply, latency=chosen.latency)
    with OpenAIServer(respond=lambda _body: reply, port=chosen.port) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
