"""A real HTTP server that speaks Azure's and OpenAI's text to speech, and misbehaves when told to.

    async with SpeechServer() as server:
        server.will(Audio(b"..."), Status(429))     # in this order; the last one stays
        ...
        assert server.requests[0].headers["x-microsoft-outputformat"] == "raw-8khz-8bit-mono-mulaw"

Bytes are written by hand: only so can an answer break off in the middle of a chunk.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Audio:
    """A 200 in chunks of ``chunk`` bytes.

    ``latency``, ``gap``: seconds before the headers, and between chunks. ``cut_after``: bytes after
    which the connection drops; ``stall_after``: bytes after which nothing more comes.
    """

    data: bytes
    chunk: int = 400
    content_type: str = "audio/basic"
    latency: float = 0.0
    gap: float = 0.0
    cut_after: int | None = None
    stall_after: int | None = None


@dataclass(frozen=True)
class Status:
    """A refusal."""

    status: int
    body: str = "no"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """The connection drops without a byte."""


@dataclass(frozen=True)
class Received:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: object


class SpeechServer:
    """Listens on a port of its own while it is entered."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.hung_up = asyncio.Event()
        """A client left before its answer was complete."""
        self.warmed: list[object] = []
        """The clients of HEAD requests, one for each."""
        self._answers: list[Audio | Status | Drop] = []

    def will(self, *answers: Audio | Status | Drop) -> None:
        """Answer in this order; the last one from then on."""
        self._answers = list(answers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ")
        if method == "HEAD":
            self.warmed.append(writer.get_extra_info("peername"))
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return True
        self.requests.append(Received(method, path, headers, body, writer.get_extra_info("peername")))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Drop):
            return False
        if isinstance(answer, Status):
            more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            said = answer.body.encode()
            writer.write(
                f"HTTP/1.1 {answer.status} Some\r\ncontent-length: {len(said)}\r\n{more}\r\n".encode() + said
            )
            return True
        return await self._stream(answer, writer)

    async def _stream(self, answer: Audio, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(answer.latency)
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {answer.content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        sent = 0
        for start in range(0, len(answer.data), answer.chunk):
            if answer.cut_after is not None and sent >= answer.cut_after:
                writer.write(b"ffff\r\nhalf")
                await writer.drain()
                return False
            if answer.stall_after is not None and sent >= answer.stall_after:
                await asyncio.sleep(60)
            piece = answer.data[start : start + answer.chunk]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(answer.gap)
            sent += len(piece)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
