"""The web application: its routes, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from callbot.server import addresses as at
from callbot.server.access import Access
from callbot.server.admin.routes import admin_routes
from callbot.server.figures import figures
from callbot.server.host import CallHost
from callbot.server.media import MediaSockets
from callbot.server.webhooks import Webhooks

CACHE = "public, max-age=86400"
"""Twilio keeps what it plays, by ETag; an audio's id changes with what it was made from."""


def make_app(host: CallHost) -> Starlette:
    """The application of a started host."""
    webhooks, sockets = Webhooks(host), MediaSockets(host)

    async def audio(request: Request) -> Response:
        found = await host.directory.audio(request.path_params["id"])
        if found is None:
            return PlainTextResponse("no such audio", 404)
        tag = f'"{found.id}"'
        headers = {"ETag": tag, "Cache-Control": CACHE}
        if tag in [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(found.content, media_type=found.content_type, headers=headers)

    async def healthy(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def ready(request: Request) -> Response:
        return PlainTextResponse("ready") if await host.ready() else PlainTextResponse("not ready", 503)

    signed: dict[str, Callable[[dict[str, str]], Awaitable[str]]] = {
        at.INCOMING: webhooks.incoming,
        at.AFTER_STREAM: webhooks.after_stream,
        at.AFTER_DIAL: webhooks.after_dial,
        at.CALL_STATUS: webhooks.call_status,
        at.STREAM_STATUS: webhooks.stream_status,
    }
    routes: list[BaseRoute] = [
        Route(path, webhooks.signed(handler), methods=["POST"]) for path, handler in signed.items()
    ]
    routes += [
        Route(f"{at.AUDIO}{{id}}", audio, methods=["GET"]),
        Route("/healthz", healthy, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        WebSocketRoute(at.MEDIA, sockets.serve),
        WebSocketRoute(f"{at.MEDIA}/", sockets.serve),
    ]
    access = Access(host.options.admin_token)
    routes += [*figures(host, access), *admin_routes(host, access)]
    return Starlette(routes=routes)
