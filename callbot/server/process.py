"""The server process: uvicorn around the application, and an end that cuts no caller off."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn

from callbot.errors import CallbotError
from callbot.server.app import make_app
from callbot.server.connections import guarded_connections
from callbot.server.host import CallHost
from callbot.server.options import ServeOptions

WS_MAX_BYTES = 64 * 1024
"""A frame of Twilio's holds 20 ms; anything near this is no carrier's."""
SHUTDOWN_SECONDS = 10
SWITCH_SECONDS = 0.001
"""How long the threads that write and look up may keep the interpreter from the audio; Python's own
default, 5 ms, is a quarter of what an answer may take."""

_log = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """On the first SIGTERM or SIGINT calls in progress go on to their end; on the second they do not."""

    def __init__(self, config: uvicorn.Config, host: CallHost) -> None:
        super().__init__(config)
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self._loop.call_soon_threadsafe(self._exit, sig)

    def _exit(self, sig: int) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        else:
            _log.warning("asked twice; stopping now", extra={"signal": signal.Signals(sig).name})
            self._draining.cancel()

    async def _drain(self) -> None:
        try:
            await self._host.drain()
        finally:
            await asyncio.shield(asyncio.ensure_future(self._host.release()))
            self.should_exit = True


def run(options: ServeOptions, address: str, port: int) -> None:
    """Serve until a signal ends it. Raises CallbotError for what keeps it from starting."""
    config = uvicorn.Config(
        app=_never,
        host=address,
        port=port,
        ws="websockets-sansio",
        ws_max_size=WS_MAX_BYTES,
        ws_ping_interval=None,  # the carrier sends 50 frames a second; silence is noticed by the line
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    runner = asyncio.Runner(loop_factory=config.get_loop_factory())
    with runner:
        runner.run(_serve(config, options))


async def _serve(config: uvicorn.Config, options: ServeOptions) -> None:
    with _listening(config.host, config.port) as listener:
        host = CallHost(options)
        try:
            await host.start()
            config.app = make_app(host)
            config.http = guarded_connections(host.refusals)
            _spare_the_audio()
            port = listener.getsockname()[1]
            _log.info("serving", extra={"url": options.public_url, "address": config.host, "port": port})
            await DrainingServer(config, host).serve(sockets=[listener])
        finally:
            await host.close()


def _spare_the_audio() -> None:
    """Pauses that nobody hears in a program of one call, and a hundred callers do."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: no collection has to look through it again


def _listening(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=2048)
    except OSError as error:
        raise CallbotError(
            f"cannot listen on {address}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from error


async def _never(scope: object, receive: object, send: object) -> None:
    raise RuntimeError("the application is made once its parts have started")
