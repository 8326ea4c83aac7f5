"""A web socket between two ends of one process: as ``websockets`` to the carrier, a Transport to the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

Frame = str | bytes


class Wire:
    """One socket: what either end sends arrives at the other, in order. Each end is an attribute."""

    def __init__(self) -> None:
        self._to_bot: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._to_carrier: asyncio.Queue[Frame | None] = asyncio.Queue()
        self.closed: tuple[int, str] | None = None
        self.carrier, self.bot = CarrierEnd(self), BotEnd(self)

    def send_to_bot(self, frame: Frame) -> None:
        """From the carrier; lost once the socket is closed."""
        if self.closed is None:
            self._to_bot.put_nowait(frame)

    def send_to_carrier(self, frame: Frame) -> None:
        """From the bot. Raises RuntimeError once the socket is closed."""
        if self.closed is not None:
            raise RuntimeError("the socket is closed")
        self._to_carrier.put_nowait(frame)

    async def received_by_bot(self) -> Frame | None:
        """The next frame; None once the socket is closed."""
        return await _next(self._to_bot)

    async def received_by_carrier(self) -> Frame | None:
        """The next frame; None once the socket is closed."""
        return await _next(self._to_carrier)

    def close(self, code: int, reason: str) -> None:
        """From either end. Idempotent; what was sent before still arrives."""
        if self.closed is None:
            self.closed = code, reason
            self._to_bot.put_nowait(None)
            self._to_carrier.put_nowait(None)


async def _next(queue: asyncio.Queue[Frame | None]) -> Frame | None:
    frame = await queue.get()
    if frame is None:
        queue.put_nowait(None)  # closed for whoever asks again
    return frame


class BotEnd:
    """The socket as lines see it; see ``lines.twilio.Transport``."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def receive(self) -> Frame | None:
        """The next frame; None once the socket is closed."""
        return await self._wire.received_by_bot()

    async def send(self, frame: str) -> None:
        """Send a frame. Raises RuntimeError on a closed socket."""
        self._wire.send_to_carrier(frame)

    async def close(self, code: int, reason: str) -> None:
        """Close the socket. Idempotent."""
        self._wire.close(code, reason)


class CarrierEnd:
    """The socket as the carrier sees it; see ``carrier.stream.Socket``."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def transport(self) -> CarrierEnd:
        """What lies below: nothing else."""
        return self

    @property
    def close_code(self) -> int | None:
        """What it was closed with."""
        return self._wire.closed[0] if self._wire.closed else None

    @property
    def close_reason(self) -> str | None:
        """What it was closed for."""
        return self._wire.closed[1] if self._wire.closed else None

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """What the bot sends, until the socket is closed."""
        while (frame := await self._wire.received_by_carrier()) is not None:
            yield frame

    async def send(self, message: Frame, /) -> None:
        """Send a message; on a closed socket it is lost, and iterating tells."""
        self._wire.send_to_bot(message)

    async def close(self) -> None:
        """Close the socket. Idempotent."""
        self._wire.close(1000, "")

    def abort(self) -> None:
        """Break the socket."""
        self._wire.close(1006, "")
