"""The media socket: who may open one, and what it is then used for.

Before anything costly: the handshake's signature, a place among the sockets that have not started,
``start`` in time, and the nonce that the call's webhook gave. A captured handshake stays valid, so
that sockets which dawdle make room for newer ones: a flood of idle ones keeps no caller out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from callbot.lines.twilio_opening import StreamRefused, open_stream
from callbot.lines.twilio_wire import Start
from callbot.server.host import CallHost
from callbot.server.signature import HEADER
from callbot.server.strangers import WaitingRoom, address_of
from callbot.server.twiml import NONCE
from callbot.store.database import StoreError

START_SECONDS = 5.0
WAITING, WAITING_OF_ONE = 64, 16
"""Sockets that have not started yet, of all addresses and of one."""

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
        self._waiting: WaitingRoom[asyncio.Future[Start]] = WaitingRoom(WAITING, WAITING_OF_ONE)

    async def serve(self, socket: WebSocket) -> None:
        """Take a handshake and, if it may, run its call."""
        host = self._host
        if not host.signatures.socket(socket.scope["path"], socket.headers.get(HEADER)):
            host.refusals.note("sockets_unsigned", "a socket without a valid signature was refused")
            await socket.close(1008)
            return
        await socket.accept()
        transport = SocketTransport(socket)
        opening = asyncio.ensure_future(open_stream(transport, START_SECONDS))
        client = socket.client.host if socket.client else None
        address = address_of(client, socket.headers.getlist("x-forwarded-for"))
        if (other := self._waiting.enter(opening, address)) is not None:
            other.cancel()
        try:
            start = await opening
        except StreamRefused as error:
            host.refusals.note("sockets_never_started", "a socket never became a stream", why=error.why)
            return
        except asyncio.CancelledError:
            if not opening.cancelled() or _being_cancelled():
                raise
            host.counts["sockets_crowded_out"] += 1
            await transport.close(1013, "too many sockets are waiting")
            return
        finally:
            self._waiting.leave(opening)
        if host.full:
            host.counts["streams_refused"] += 1
            await transport.close(1013, "full")
            return
        try:
            admitted = await host.admissions.admit(start.call_sid, start.parameters.get(NONCE, ""))
        except StoreError as error:
            host.refusals.note(
                "streams_refused", "a stream was refused", call=start.call_sid[:64], why=str(error)
            )
            await transport.close(1008, "refused")
            return
        _log.info("stream", extra={"call": admitted.call_id, "attempt": admitted.attempt})
        await host.run_call(admitted, transport, start)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
