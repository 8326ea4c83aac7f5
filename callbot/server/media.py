"""The media socket: who may open one, and what it is then used for.

Before anything costly: the handshake's signature, a place among the sockets that have not started,
``start`` in time, and the nonce that the call's webhook gave. Sockets that dawdle make room for
newer ones, so that a flood of idle ones keeps no caller out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from callbot.lines.twilio import StreamRefused, open_stream
from callbot.server.host import CallHost
from callbot.server.signature import HEADER
from callbot.server.twiml import NONCE
from callbot.store.database import StoreError

START_SECONDS = 5.0
WAITING_SOCKETS = 64
"""Sockets that have not started yet; the oldest makes room for one more."""

_log = logging.getLogger(__name__)


class SocketTransport:
    """A Starlette socket as lines see it; see ``lines.twilio.Transport``."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes | None:
        """The next frame; None once the socket is closed."""
        if self._socket.client_state is not WebSocketState.CONNECTED:
            return None
        message = await self._socket.receive()
        if message["type"] != "websocket.receive":
            return None
        text: str | None = message.get("text")
        return text if text is not None else bytes(message["bytes"])

    async def send(self, frame: str) -> None:
        """Send a frame. Raises RuntimeError on a closed socket."""
        try:
            await self._socket.send_text(frame)
        except WebSocketDisconnect as error:
            raise RuntimeError("the socket is closed") from error

    async def close(self, code: int, reason: str) -> None:
        """Close the socket. Idempotent."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, OSError, WebSocketDisconnect):
                await self._socket.close(code, reason)


class MediaSockets:
    """The endpoint of media streams."""

    def __init__(self, host: CallHost) -> None:
        self._host = host
        self._waiting: dict[asyncio.Task[object], None] = {}
        """Sockets that have not started, oldest first."""

    async def serve(self, socket: WebSocket) -> None:
        """Take a handshake and, if it may, run its call."""
        host = self._host
        if not host.signatures.socket(socket.scope["path"], socket.headers.get(HEADER)):
            host.counts["sockets_unsigned"] += 1
            _log.warning("a socket without a valid signature was refused")
            await socket.close(1008)
            return
        await socket.accept()
        transport = SocketTransport(socket)
        opening = asyncio.ensure_future(open_stream(transport, START_SECONDS))
        self._make_room(opening)
        try:
            start = await opening
        except StreamRefused as error:
            host.counts["sockets_never_started"] += 1
            _log.warning("a socket never became a stream", extra={"why": error.why})
            return
        except asyncio.CancelledError:
            if not opening.cancelled() or _being_cancelled():
                raise
            host.counts["sockets_crowded_out"] += 1
            await transport.close(1013, "too many sockets are waiting")
            return
        finally:
            self._waiting.pop(opening, None)
        if host.full:
            host.counts["streams_refused"] += 1
            await transport.close(1013, "full")
            return
        try:
            admitted = await host.admissions.admit(start.call_sid, start.parameters.get(NONCE, ""))
        except StoreError as error:
            host.counts["streams_refused"] += 1
            _log.warning("a stream was refused", extra={"call": start.call_sid, "why": str(error)})
            await transport.close(1008, "refused")
            return
        _log.info("stream", extra={"call": admitted.call_id, "attempt": admitted.attempt})
        await host.run_call(admitted, transport, start)

    def _make_room(self, opening: asyncio.Task[object] | asyncio.Future[object]) -> None:
        assert isinstance(opening, asyncio.Task)
        while len(self._waiting) >= WAITING_SOCKETS:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.cancel()
        self._waiting[opening] = None


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
