"""How a Media Stream opens, and what it may do wrong: the socket, the wait for ``start``, bad frames."""

from __future__ import annotations

import asyncio
from typing import Protocol

from callbot.lines import twilio_wire as wire

BAD_FRAMES = 10
"""Unreadable frames before the socket is closed."""


class Transport(Protocol):
    """A socket that carries text frames."""

    async def receive(self) -> str | bytes | None:
        """The next frame; None once the socket is closed."""
        ...

    async def send(self, frame: str) -> None:
        """Send a frame; raises OSError or RuntimeError on a closed socket."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the socket. Idempotent."""
        ...


class StreamRefused(Exception):
    """A socket that never became a stream. ``code``: what it was closed with (RFC 6455, 7.4)."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


async def open_stream(transport: Transport, seconds: float) -> wire.Start:
    """Wait for ``start``; media before it reaches nobody. Raises StreamRefused, the socket is then closed."""
    try:
        async with asyncio.timeout(seconds):
            return await _await_start(transport)
    except TimeoutError:
        refused = StreamRefused(1008, f"no start within {seconds:g} s")
    except StreamRefused as error:
        refused = error
    await transport.close(refused.code, refused.why)
    raise refused


async def _await_start(transport: Transport) -> wire.Start:
    bad = 0
    while (frame := await transport.receive()) is not None:
        message = wire.read_message(frame)
        if isinstance(message, wire.Start):
            if message.format != (expected := ("audio/x-mulaw", 8000, 1)):
                raise StreamRefused(1003, f"media of {message.format}, expected {expected}")
            return message
        if isinstance(message, wire.Bad):
            bad += 1
            if bad >= BAD_FRAMES:
                raise StreamRefused(code_of(message), f"{bad} unreadable frames")
    raise StreamRefused(1000, "closed before it started")


def code_of(fault: wire.Bad) -> int:
    """1003: cannot take this kind of data; 1007: data that is not what it claims (RFC 6455, 7.4.1)."""
    return 1003 if fault.binary else 1007
