"""A real HTTP server that speaks Azure's and OpenAI's speech to text, and misbehaves when told to.

async with RecognitionServer() as server:
    server.will(Answer({"text": "hello"}), Answer(status=503))   # in this order; the last one stays
    ...
    assert server.requests[0].headers["content-type"].startswith("audio/wav")
"""

from __future__ import annotations

import asyncio
import io
import json
import wave
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Answer:
    """An answer. ``latency``: seconds before it. ``drop``: the connection instead of any.

    ``after``: bytes of the body after which it is given, without waiting for the rest to be sent.
    """

    body: object = field(default_factory=dict)
    status: int = 200
    latency: float = 0.0
    drop: bool = False
    after: int | None = None


@dataclass
class Received:
    """A request; ``arriving`` is set once the first of its audio is there."""

    path: str
    headers: dict[str, str]
    body: bytes = b""
    client: object = None

    @property
    def wav(self):
        """(samples a second, seconds) of the file in it; an unknown length is that of what came."""
        start = self.body.index(b"RIFF")
        header, audio = self.body[start : start + 44], self.body[start + 44 :]
        if b"multipart" in self.headers["content-type"].encode():
            audio = audio[: audio.rindex(b"\r\n--")]
        with wave.open(io.BytesIO(header + audio)) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            return file.getframerate(), len(audio) / 2 / file.getframerate()


class RecognitionServer:
    """Listens on a port of its own while it is entered."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.arrived = asyncio.Event()
        """Some audio of a request has come."""
        self.warmed: list[object] = []
        """The clients of HEAD requests, one for each."""
        self._answers: list[Answer] = []

    def will(self, *answers: Answer) -> None:
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
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client left, or the test is over
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        method, path, _ = first.split(" ")
        if method == "HEAD":
            self.warmed.append(writer.get_extra_info("peername"))
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return True
        received = Received(path, headers, client=writer.get_extra_info("peername"))
        self.requests.append(received)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if headers.get("expect") == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        answered = False
        async for piece in _body(reader, headers):
            received.body += piece
            self.arrived.set()
            if answer.after is not None and len(received.body) >= answer.after and not answered:
                answered = True
                self._write(writer, answer)
        await asyncio.sleep(answer.latency)
        if answer.drop:
            return False
        if not answered:
            self._write(writer, answer)
        await writer.drain()
        return True

    def _write(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        writer.write(f"HTTP/1.1 {answer.status} Some\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


async def _body(reader, headers):
    if headers.get("transfer-encoding") != "chunked":
        yield await reader.readexactly(int(headers.get("content-length", 0)))
        return
    while length := int(await reader.readline(), 16):
        yield await reader.readexactly(length)
        await reader.readline()
    await reader.readline()
