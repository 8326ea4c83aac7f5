"""Connections that bring no request: how long, how many, and how much of one they may send.

uvicorn waits for a request's end without limits of time or size, and lets any number wait. A request
of Twilio's is here within milliseconds; a handshake of a socket that has come counts as one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from callbot.server.strangers import Refusals, WaitingRoom, address_of

REQUEST_SECONDS = 5.0
"""From a connection, or its last answer, to the end of its next request; uvicorn closes idle ones, too."""
REQUEST_BYTES = 128 * 1024
"""Of one request, its head and its body."""
WAITING = 512
WAITING_OF_ONE = 64


def guarded_connections(refusals: Refusals) -> type[HttpToolsProtocol]:
    """Connections for uvicorn, with limits that all of them share."""
    room: WaitingRoom[_Guarded] = WaitingRoom(WAITING, WAITING_OF_ONE)
    return type("GuardedConnection", (_Guarded,), {"room": room, "refusals": refusals})


class _Guarded(HttpToolsProtocol):
    room: WaitingRoom[_Guarded]
    refusals: Refusals

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline: asyncio.TimerHandle | None = None
        """While it waits for a request's end."""
        self._received = 0
        self._answered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._deadline is not None and self._received > REQUEST_BYTES:
            self.refuse("connections_too_much", "a request without an end was broken off")
            return
        super().data_received(data)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._answered = True
        if self._deadline is None and not self.transport.is_closing():
            self._wait()

    def on_message_complete(self) -> None:
        self._wait_no_more()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._wait_no_more()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self.refusals.note("requests_unreadable", "what came was no request")
        super().send_400_response(msg)

    def _wait(self) -> None:
        self._received = 0
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_slow)
        address = address_of(self.client[0]) if self.client else None
        if (other := self.room.enter(self, address)) is not None:
            other.refuse("connections_crowded_out", "a connection that waited made room")

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self.room.leave(self)

    def _too_slow(self) -> None:
        if self._answered and not self._received:  # kept for a next request, as proxies do: no stranger's
            self._wait_no_more()
            self.transport.close()
            return
        self.refuse("connections_too_slow", "a connection brought no whole request in time")

    def refuse(self, count: str, message: str) -> None:
        """Break it off."""
        self._wait_no_more()
        self.refusals.note(count, message)
        self.transport.abort()
