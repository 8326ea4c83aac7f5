"""One media stream: a signed socket to the bot, the playback buffer behind it, and the faults on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import websockets
from websockets.asyncio.client import ClientConnection, connect

from callbot.carrier.buffer import PlaybackBuffer
from callbot.carrier.faults import MESSAGES, Faults
from callbot.carrier.g711 import FRAME
from callbot.carrier.messages import BotClear, BotMark, BotMedia, Ids, Ignored, Writer, read
from callbot.carrier.network import Address
from callbot.carrier.signature import HEADER
from callbot.carrier.tape import Tape
from callbot.carrier.trouble import BUFFER_FULL, HANDSHAKE_FAILED, STREAM_BROKE, STREAM_CLOSED, TwilioError
from callbot.carrier.twiml import Stream

HANDSHAKE_SECONDS = 10.0
STOP_SECONDS = 1.0
"""For the last messages to leave, and for the bot to close."""
_FRAMES_A_SECOND = 50


class Connection(Protocol):
    """What a socket's messages travel on."""

    def abort(self) -> None:
        """Break it, without a word."""
        ...


class Socket(Protocol):
    """A socket to a bot, as ``websockets`` has it. Iterating over it gives what the bot sends."""

    @property
    def transport(self) -> Connection:
        """What lies below."""
        ...

    @property
    def close_code(self) -> int | None:
        """What it was closed with."""
        ...

    @property
    def close_reason(self) -> str | None:
        """What it was closed for."""
        ...

    def __aiter__(self) -> AsyncIterator[str | bytes]: ...

    async def send(self, message: str | bytes, /) -> None:
        """Send a message. Raises websockets.ConnectionClosed."""
        ...

    async def close(self) -> None:
        """Close it. Idempotent."""
        ...


async def open_socket(url: str, address: Address, signature: str | None) -> ClientConnection:
    """Connect as Twilio does. Raises TwilioError 31920 unless the bot answers 101."""
    headers = {HEADER: signature} if signature is not None else {}
    try:
        return await connect(
            address.of(url),
            additional_headers=headers,
            user_agent_header="Twilio.TmeWs/1.0",
            open_timeout=HANDSHAKE_SECONDS,
            ping_interval=None,
            max_size=None,
            compression=None,
            proxy=None,
        )
    except (OSError, websockets.WebSocketException, TimeoutError) as error:
        raise TwilioError(HANDSHAKE_FAILED, f"{url}: the handshake failed: {error}") from error


class MediaStream:
    """A connected stream. ``tick`` is called every 20 ms; ``ended`` is set when the bot or a fault ends it."""

    def __init__(self, verb: Stream, ids: Ids, socket: Socket, tape: Tape, faults: Faults) -> None:
        self.verb, self.ids = verb, ids
        self.buffer = PlaybackBuffer()
        self.ended = asyncio.Event()
        self.error = ""
        """What broke it; empty for an end on purpose."""
        self._socket, self._tape, self._faults = socket, tape, faults
        self._writer = Writer(ids, verb.parameters)
        self._outgoing: asyncio.Queue[tuple[float, str | bytes]] = asyncio.Queue()
        self._ticks = 0
        self._not_before = 0.0
        self._warned: set[int] = set()
        self._moments = sorted((faults.value(name), name) for name in MESSAGES if name in faults)
        self._late: list[tuple[int, str]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Say who is calling, and start to listen."""
        self._send(self._writer.connected())
        if "media-before-start" in self._faults:
            for _ in range(10):
                self._send(self._writer.media(b"\xff" * FRAME, 0))
        if "no-start" not in self._faults:
            self._send(self._writer.start())
        self._tape.log("carrier", "stream_started", self.ids.stream)
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._listen())]

    def pull(self) -> bytes:
        """What the caller hears next; marks that this completes are told by the next ``tick``."""
        return self.buffer.pull(FRAME)

    def tick(self, caller: bytes, keys: str) -> None:
        """Send a frame of the caller's, keys pressed, and marks whose audio has been played."""
        seconds = self._ticks / _FRAMES_A_SECOND
        for key in keys:
            self._send(self._writer.dtmf(key))
        if not ("dead-line" in self._faults and seconds >= self._faults.value("dead-line")):
            self._send_media(caller)
        self._ticks += 1
        while self._moments and self._moments[0][0] <= seconds:
            self._misbehave(self._moments.pop(0)[1])
        if "cut-socket" in self._faults and seconds >= self._faults.value("cut-socket"):
            self._cut()

    def tell_marks(self) -> None:
        """Return the marks that playback has reached."""
        self._return(self.buffer.reached())
        while self._late and self._late[0][0] <= self._ticks:
            self._send(self._writer.mark(self._late.pop(0)[1]))

    def oracle(self, text: str) -> None:
        """Tell a bot that recognises nothing what was said."""
        self._send(self._writer.oracle(text))

    async def stop(self) -> None:
        """End the stream from the carrier's side."""
        if not self.ended.is_set() and "no-stop" not in self._faults:
            self._send(self._writer.stop())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._outgoing.join()
        await self.close()

    async def close(self) -> None:
        """Close the socket, if it is still open, and forget the stream."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._socket.close()
        self._socket.transport.abort()

    def _send_media(self, caller: bytes) -> None:
        message = self._writer.media(caller, self._ticks * 20)
        if "loss" in self._faults and self._faults.random.random() < self._faults.value("loss"):
            return
        delay = self._faults.random.random() * self._faults.value("jitter") / 1000
        self._send(message, delay)
        if "duplicate-media" in self._faults:
            self._send(message, delay)

    def _send(self, message: str | bytes, delay: float = 0.0) -> None:
        self._outgoing.put_nowait((time.monotonic() + delay if delay else 0.0, message))

    async def _write(self) -> None:
        """Messages leave in order; a late one holds back those behind it."""
        while True:
            due, message = await self._outgoing.get()
            try:
                if due:
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._socket.send(message)
            except websockets.ConnectionClosed:
                pass  # the listener tells
            finally:
                self._outgoing.task_done()

    async def _listen(self) -> None:
        try:
            async for frame in self._socket:
                self._take(frame)
        except websockets.ConnectionClosed as error:
            self.error = self.error or f"the socket broke: {error}"
            self._tape.log("carrier", "stream_broke", str(error), STREAM_BROKE)
        else:
            code, reason = self._socket.close_code, self._socket.close_reason
            self._tape.log("bot", "socket_closed", f"{code} {reason}".strip(), STREAM_CLOSED)
        self.ended.set()

    def _take(self, frame: str | bytes) -> None:
        message = read(frame, self.ids.stream)
        if isinstance(message, BotMedia):
            if not self.buffer.push(message.audio):
                self._warn(BUFFER_FULL, "more than 10 minutes buffered; what came last is dropped")
        elif isinstance(message, BotMark):
            self.buffer.mark(message.name)
        elif isinstance(message, BotClear):
            dropped, marks = self.buffer.clear()
            self._tape.log("bot", "clear", f"{dropped} samples dropped, {len(marks)} marks returned")
            if dropped:
                self._tape.cleared.append(self._tape.now)
            self._return(marks)
        elif isinstance(message, Ignored):
            self._warn(message.code, message.why)

    def _warn(self, code: int, why: str) -> None:
        """Twilio warns of each kind once in a stream; here the first of each kind is told."""
        if code not in self._warned:
            self._warned.add(code)
            self._tape.log("carrier", "warning", why, code)

    def _return(self, marks: list[str]) -> None:
        for name in marks:
            self._tape.log("carrier", "mark", name)
            if "lost-marks" in self._faults:
                continue
            if "late-marks" in self._faults:
                due = self._ticks + round(self._faults.value("late-marks") * _FRAMES_A_SECOND)
                self._late.append((due, name))
            else:
                self._send(self._writer.mark(name))

    def _misbehave(self, name: str) -> None:
        self._tape.log("carrier", "fault", name)
        for message in self._odd_messages(name):
            self._send(message)

    def _odd_messages(self, name: str) -> Iterator[str | bytes]:
        if name == "duplicate-start":
            yield self._writer.start()
        elif name == "unknown-event":
            yield json.dumps({"event": "weather", "streamSid": self.ids.stream, "weather": {"rain": True}})
        elif name == "bad-json":
            yield '{"event": "media", '
        elif name == "bad-base64":
            yield json.dumps({"event": "media", "streamSid": self.ids.stream, "media": {"payload": "*?*"}})
        elif name == "binary-frame":
            yield b"\x00" * FRAME
        elif name == "giant-frame":
            yield self._writer.media(b"\xff" * (1 << 20), self._ticks * 20)

    def _cut(self) -> None:
        del self._faults.chosen["cut-socket"]  # once in a call: the next stream lives
        self._tape.log("carrier", "fault", "cut-socket")
        self.error = "cut by --fault cut-socket"
        self._socket.transport.abort()
